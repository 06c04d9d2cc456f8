// The two functions of BLAS that generated models call, as plain loops: for builds without a BLAS library (H4L_BLAS=OFF).
//
// The build renames them, so that they never stand in for a BLAS of the program. Matrices are stored by columns, as Fortran does.
#include <cstddef>

namespace {

bool transposed(const char *flag) { return *flag == 't' || *flag == 'T'; }

// Numbers of a matrix with `ld` numbers from one column to the next; op(X) is X or its transpose.
struct Operand {
   const float *values;
   std::size_t by_row, by_column;
   Operand(const float *x, bool transpose, int ld)
       : values(x), by_row(transpose ? static_cast<std::size_t>(ld) : 1), by_column(transpose ? 1 : static_cast<std::size_t>(ld))
   {
   }
};

float scaled(float beta, float value) { return beta == 0.0f ? 0.0f : beta * value; }  // BLAS does not read what it overwrites

}  // namespace

extern "C" {

void sgemm_(const char *transa, const char *transb, const int *m, const int *n, const int *k, const float *alpha, const float *a, const int *lda,
            const float *b, const int *ldb, const float *beta, float *c, const int *ldc);
void sgemv_(const char *trans, const int *m, const int *n, const float *alpha, const float *a, const int *lda, const float *x, const int *incx,
            const float *beta, float *y, const int *incy);

/// C = alpha op(A) op(B) + beta C, with m x k, k x n and m x n numbers.
void sgemm_(const char *transa, const char *transb, const int *m, const int *n, const int *k, const float *alpha, const float *a, const int *lda,
            const float *b, const int *ldb, const float *beta, float *c, const int *ldc)
{
   const auto rows = static_cast<std::size_t>(*m), columns = static_cast<std::size_t>(*n), inner = static_cast<std::size_t>(*k);
   const Operand left(a, transposed(transa), *lda), right(b, transposed(transb), *ldb);
   for (std::size_t j = 0; j < columns; ++j) {
      float *out = c + j * static_cast<std::size_t>(*ldc);
      if (left.by_column == 1) {  // both factors of a sum lie side by side
         for (std::size_t i = 0; i < rows; ++i) {
            float sum = 0.0f;
            for (std::size_t l = 0; l < inner; ++l) sum += left.values[i * left.by_row + l] * right.values[l * right.by_row + j * right.by_column];
            out[i] = *alpha * sum + scaled(*beta, out[i]);
         }
         continue;
      }
      for (std::size_t i = 0; i < rows; ++i) out[i] = scaled(*beta, out[i]);
      for (std::size_t l = 0; l < inner; ++l) {
         const float factor = *alpha * right.values[l * right.by_row + j * right.by_column];
         for (std::size_t i = 0; i < rows; ++i) out[i] += factor * left.values[i + l * left.by_column];
      }
   }
}

/// y = alpha op(A) x + beta y, with m x n numbers in A.
void sgemv_(const char *trans, const int *m, const int *n, const float *alpha, const float *a, const int *lda, const float *x, const int *incx,
            const float *beta, float *y, const int *incy)
{
   const Operand matrix(a, transposed(trans), *lda);
   const auto rows = static_cast<std::size_t>(transposed(trans) ? *n : *m), inner = static_cast<std::size_t>(transposed(trans) ? *m : *n);
   const auto step_x = static_cast<std::size_t>(*incx), step_y = static_cast<std::size_t>(*incy);
   for (std::size_t i = 0; i < rows; ++i) {
      float sum = 0.0f;
      for (std::size_t l = 0; l < inner; ++l) sum += matrix.values[i * matrix.by_row + l * matrix.by_column] * x[l * step_x];
      y[i * step_y] = *alpha * sum + scaled(*beta, y[i * step_y]);
   }
}
}

#ifndef FOURLEPTONRATIOS_FOURLEPTONRATIOSDICT_H
#define FOURLEPTONRATIOS_FOURLEPTONRATIOSDICT_H

#include "FourLeptonRatios/FourLeptonRatioTool.h"
#include "FourLeptonRatios/IFourLeptonRatioTool.h"

#endif

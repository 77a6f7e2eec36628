"""Files of programs for coding behaviour: ELAN, BORIS, VIA, Label Studio, Praat and others."""

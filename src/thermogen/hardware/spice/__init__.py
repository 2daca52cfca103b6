"""The computer as a netlist, run by ngspice."""

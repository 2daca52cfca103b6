"""From the dimensionless computer to a device: platforms, physical units and back, netlists, ngspice."""

from thermogen.hardware.circuit import Bench, circuit_paths, generate_in_circuit
from thermogen.hardware.figures import figures, parameters
from thermogen.hardware.netlist import Transient, netlist
from thermogen.hardware.ngspice import find_ngspice
from thermogen.hardware.physical import PhysicalComputer, to_physical
from thermogen.hardware.platforms import Platform, electrical, mechanical, superconducting
from thermogen.hardware.records import Record, record, records
from thermogen.hardware.wiring import Wiring, wiring

__all__ = [
    "Bench",
    "PhysicalComputer",
    "Platform",
    "Record",
    "Transient",
    "Wiring",
    "circuit_paths",
    "electrical",
    "figures",
    "find_ngspice",
    "generate_in_circuit",
    "mechanical",
    "netlist",
    "parameters",
    "record",
    "records",
    "superconducting",
    "to_physical",
    "wiring",
]

"""From the dimensionless computer to a device: physical units, netlists and ngspice, imperfect devices."""

from thermogen.hardware.datasheet import figures, parameters
from thermogen.hardware.imperfect.device import Device, make_device
from thermogen.hardware.imperfect.imperfections import Imperfections
from thermogen.hardware.imperfect.run import DeviceSamples, run_device
from thermogen.hardware.physical import PhysicalComputer, to_physical
from thermogen.hardware.platforms import Platform, electrical, mechanical, superconducting
from thermogen.hardware.records import PlatformRecord, record, records
from thermogen.hardware.spice.circuit import CircuitBench, circuit_paths, generate_in_circuit
from thermogen.hardware.spice.netlist import Transient, netlist
from thermogen.hardware.spice.ngspice import find_ngspice
from thermogen.hardware.wiring import Wiring, wiring

__all__ = [
    "CircuitBench",
    "Device",
    "DeviceSamples",
    "Imperfections",
    "PhysicalComputer",
    "Platform",
    "PlatformRecord",
    "Transient",
    "Wiring",
    "circuit_paths",
    "electrical",
    "figures",
    "find_ngspice",
    "generate_in_circuit",
    "make_device",
    "mechanical",
    "netlist",
    "parameters",
    "record",
    "records",
    "run_device",
    "superconducting",
    "to_physical",
    "wiring",
]

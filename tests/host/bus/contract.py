"""contract.py OBJECT FILE: fails unless the object's introspection has the interface of FILE, to the letter."""

import subprocess
import sys
import xml.etree.ElementTree as ET

path, file = sys.argv[1:]
command = ["busctl", "introspect", "--xml-interface", "org.containerctl1", path]
live = ET.fromstring(subprocess.run(command, check=True, capture_output=True, text=True).stdout)


def facts(interface):
    return [(element.tag, sorted(element.attrib.items())) for element in interface.iter()]


(promised,) = ET.parse(file).getroot().iter("interface")
(found,) = [interface for interface in live.iter("interface") if interface.get("name") == promised.get("name")]
for pair in zip(facts(promised), facts(found), strict=True):
    assert pair[0] == pair[1], pair

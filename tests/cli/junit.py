"""Checks JUnit files: against tests/cli/junit.xsd with xmllint where there is one, and by its rules in Python always."""
import pathlib
import shutil
import subprocess
import xml.etree.ElementTree as ElementTree

SCHEMA = pathlib.Path(__file__).with_name("junit.xsd")
# element: (required attributes, other attributes we write, children in their order)
RULES = {
    "testsuites": (set(), {"name", "tests", "failures", "errors"}, ["testsuite"]),
    "testsuite": ({"name", "tests"}, {"failures", "errors", "skipped"}, ["testcase"]),
    "testcase": ({"name", "classname"}, set(), ["skipped", "failure", "system-out"]),
    "skipped": (set(), {"message"}, []),
    "failure": ({"type"}, {"message"}, []),
    "system-out": (set(), set(), []),
}


def check(test, element):
    required, others, children = RULES[element.tag]
    test.assertTrue(required <= set(element.attrib) <= required | others, element.attrib)
    places = [children.index(child.tag) for child in element]
    test.assertEqual(places, sorted(places), element.attrib)
    if element.tag == "testcase":
        test.assertEqual(len(places), len(set(places)), element.attrib)
        test.assertFalse({"skipped", "failure"} <= {child.tag for child in element}, element.attrib)
    for child in element:
        check(test, child)


def counts(element):
    cases = list(element.iter("testcase"))
    return {"tests": len(cases), "failures": sum(case.find("failure") is not None for case in cases), "errors": 0,
            "skipped": sum(case.find("skipped") is not None for case in cases)}


def read(test, path):
    """{classname: {name: message of the failure, or None}}"""
    data = pathlib.Path(path).read_bytes()
    data.decode("utf-8")
    root = ElementTree.fromstring(data)
    test.assertEqual(root.tag, "testsuites")
    check(test, root)
    for element in (root, *root.iter("testsuite")):
        for name, number in counts(element).items():
            test.assertEqual(int(element.get(name, number)), number, element.attrib)
    names = [suite.get("name") for suite in root]
    test.assertEqual(len(names), len(set(names)))
    if shutil.which("xmllint"):
        result = subprocess.run(["xmllint", "--noout", "--schema", str(SCHEMA), str(path)], capture_output=True, text=True,
                                check=False)
        test.assertEqual(result.returncode, 0, result.stderr)
    cases = {}
    for case in root.iter("testcase"):
        failure = case.find("failure")
        suite = cases.setdefault(case.get("classname"), {})
        test.assertNotIn(case.get("name"), suite)
        suite[case.get("name")] = None if failure is None else failure.get("message")
    return cases

"""``ovpart plan``: a dry run, as text, as JSON, into a file, and without openvino."""

from __future__ import annotations

import json
import subprocess
import sys

import jsonschema

from ovpart.model.read import read_model
from ovpart.partition.plan import Plan
from ovpart.report.json import schema


def test_text_shows_the_split_and_why(ovpart_cli, split_model):
    done = ovpart_cli("plan", split_model, "--min-gain", "0")
    assert (done.code, done.err) == (0, "")
    assert done.out.startswith("animals.onnx   3 nodes, opset 17")
    assert "why on onnxruntime" in done.out
    assert "LabelEncoder" in done.out
    assert "op_support.yaml:" in done.out


def test_json_stands_alone_and_fits_the_schema(ovpart_cli, split_model):
    done = ovpart_cli("plan", split_model, "--min-gain=0", "--json")
    data = json.loads(done.out)
    jsonschema.validate(data, schema())
    assert data["clusters"]["all"] == 2
    assert {"name": "min_gain", "value": 0.0, "origin": "given"} in data["options"]


def test_saved_plan_loads(ovpart_cli, split_model, tmp_path):
    file = tmp_path / "plan.json"
    assert ovpart_cli("plan", split_model, "--min-gain", "0", "--save", file).code == 0
    assert len(Plan.load(file, read_model(split_model)).clusters) == 2


def test_every_node_is_listed_where_asked(ovpart_cli, split_model):
    out = ovpart_cli("plan", split_model, "--min-gain", "0", "--verbose").out
    rows = out[out.index("\nnodes\n") :].splitlines()[2:]
    assert [row.split()[1] for row in rows[:2]] == ["CPU", "CPU"]
    assert sorted(row.partition(":")[0].split()[-1] for row in rows) == ["call", "choose", "weigh"]


def test_options_reach_the_planner(ovpart_cli, split_model):
    done = ovpart_cli("plan", split_model, "--min-gain", "0", "--exclude", "MatMul", "--exclude", "ArgMax", "--json")
    assert json.loads(done.out)["coverage"]["nodes"] == 0.0


def test_a_device_that_is_not_here_can_be_planned_for(ovpart_cli, split_model):
    done = ovpart_cli("plan", split_model, "--device", "NPU", "--json")
    assert done.code == 0
    assert json.loads(done.out)["device"] == "NPU"


def test_works_where_no_engine_can_be_imported(split_model):
    program = (
        "import sys\n"
        "class Blocked:\n"
        "    def find_spec(self, name, path=None, target=None):\n"
        "        if name.split('.')[0] in ('openvino', 'onnxruntime'):\n"
        "            raise ImportError(name + ' is blocked')\n"
        "sys.meta_path.insert(0, Blocked())\n"
        "from ovpart.cli.main import main\n"
        f"sys.exit(main(['plan', {str(split_model)!r}, '--device', 'GPU']))\n"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stderr
    assert "device GPU" in done.stdout

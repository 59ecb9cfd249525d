import json

from convai.benchmarks.speed.network_speed import main


def test_every_figure_is_given_before_and_after(tmp_path, capsys):
    main(["--rounds", "1", "--json", str(tmp_path / "speed.json")])
    rows = json.loads((tmp_path / "speed.json").read_text())
    printed = capsys.readouterr().out.splitlines()
    assert len(rows) == len(printed) == 7
    for row in rows:
        before, *after = [value for value in row.values() if isinstance(value, float)]
        assert before > 0 and after
        if "multiply-adds" in row["unit"]:
            assert max(after) < before

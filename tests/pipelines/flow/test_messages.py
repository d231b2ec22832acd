"""Messages of flows with names that UTF-8 cannot hold."""

from pipelines.cluster.flows import _failed


def test_a_flow_fails_with_its_message_although_a_name_is_not_utf8() -> None:
    logged: list[str] = []
    state = _failed(FileNotFoundError(2, "No such file or directory", "photos/\udcdf.png"), logged.append)
    assert "photos/\\udcdf.png" in state.model_dump_json().replace("\\\\", "\\")
    assert logged == [state.message]

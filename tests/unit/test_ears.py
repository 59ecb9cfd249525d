"""Another recogniser at the head of the pipeline: what changes in the description, the profile and the server."""

from dataclasses import replace

import pytest
from google.protobuf import text_format
from tritonclient.grpc.model_config_pb2 import ModelConfig

from convai.backends.management.repository import models_of
from convai.client.steps import needed_calls
from convai.description.config_files import config_file
from convai.description.pipeline import ENSEMBLES, STEPS
from convai.description.recognisers import (
    JASPER,
    MOONSHINE,
    RECOGNISER_STEP_NAMES,
    RECOGNISERS,
    ensembles_with,
    steps_with,
)
from convai.description.wiring import WiringError, wiring_of
from convai.errors import InvalidArgument
from convai.generator.check import check_configs
from convai.generator.profiles import PROFILES
from convai.generator.render import render


def configs_of(profile):
    files = render(profiles=[PROFILES[profile]])
    return {name.split("/")[0]: text_format.Parse(text, ModelConfig()) for name, text in files.items()}


def test_with_jasper_the_pipeline_is_as_described():
    assert steps_with(JASPER) == STEPS
    assert ensembles_with(JASPER) == ENSEMBLES


@pytest.mark.parametrize("recogniser", RECOGNISERS.values(), ids=RECOGNISERS)
@pytest.mark.parametrize("ensemble", [ensemble.name for ensemble in ENSEMBLES])
def test_a_caller_sees_the_same_tensors_whatever_the_pipeline_hears_with(ensemble, recogniser):
    one, other = wiring_of(ensemble), wiring_of(ensemble, recogniser)
    assert (other.inputs, other.outputs) == (one.inputs, one.outputs)


@pytest.mark.parametrize("recogniser", RECOGNISERS.values(), ids=RECOGNISERS)
def test_only_the_steps_that_hear_differ(recogniser):
    def rest(calls):
        return [call for call in calls if call.step not in RECOGNISER_STEP_NAMES]

    calls = wiring_of("convai_ensemble", recogniser).calls
    assert rest(calls) == rest(wiring_of("convai_ensemble").calls)
    assert {call.step for call in calls} - {call.step for call in rest(calls)} == {
        step.name for step in recogniser.steps
    }


def test_a_profile_with_other_ears_is_generated_without_jasper_and_passes_the_checks():
    configs = configs_of("cpu-moonshine")
    check_configs(configs)
    assert configs.keys() & set(RECOGNISER_STEP_NAMES) == {"moonshine"}
    (hearing,) = configs["speech_to_text"].ensemble_scheduling.step
    assert (hearing.model_name, dict(hearing.output_map)) == ("moonshine", {"question": "question"})


def test_profiles_with_jasper_know_nothing_of_other_recognisers():
    for name in PROFILES.keys() - {"cpu-moonshine"}:
        assert "moonshine" not in configs_of(name)


def test_a_recogniser_that_hears_one_after_another_leaves_no_process_idle():
    moonshine = configs_of("cpu-moonshine")["moonshine"]
    assert list(moonshine.dynamic_batching.preferred_batch_size) == [1]
    assert moonshine.instance_group[0].count > 1
    assert all(io.allow_ragged_batch for io in moonshine.input if -1 in io.dims)


def test_a_recogniser_gets_the_text_that_a_question_is_about_if_there_is_one():
    heard_with = [set(wiring_of(name, MOONSHINE).calls[0].inputs) for name in ("convai_ensemble", "speech_to_text")]
    assert heard_with == [{"question_audio", "sample_rate", "context"}, {"question_audio", "sample_rate"}]


def test_a_recogniser_that_takes_no_text_is_refused_since_triton_could_not_be_asked_for_the_question_alone():
    (moonshine,) = MOONSHINE.steps
    textless = replace(MOONSHINE, steps=(replace(moonshine, inputs=moonshine.inputs[:2]),))
    with pytest.raises(WiringError, match="output question does without the input context; let step moonshine take it"):
        wiring_of("convai_ensemble", textless)


def test_what_is_called_with_other_ears_follows_from_their_description():
    assert [call.step for call in needed_calls("convai_ensemble", ["question"], MOONSHINE)] == ["moonshine"]


@pytest.fixture
def repository(tmp_path):
    """A folder for every model, with an empty configuration for each profile that has it."""
    for profile in ("cpu", "cpu-moonshine"):
        for step in (*steps_with(PROFILES[profile].recogniser), *ENSEMBLES):
            file = tmp_path / step.name / config_file(profile)
            file.parent.mkdir(parents=True, exist_ok=True)
            file.touch()
    return tmp_path


def test_a_server_loads_the_recogniser_of_its_profile_alone(repository):
    everything = {model.name for model in (*STEPS, *ENSEMBLES)}
    assert set(models_of(repository, "cpu")) == everything
    hearing = {step.name for step in JASPER.steps}
    assert set(models_of(repository, "cpu-moonshine")) == everything - hearing | {"moonshine"}


def test_a_model_beside_the_pipeline_must_have_the_profile(repository):
    (repository / "amplifier").mkdir()
    (repository / "amplifier" / "config.pbtxt").touch()
    with pytest.raises(InvalidArgument, match="no configuration for amplifier; profiles that every model has: cpu"):
        models_of(repository, "cpu-moonshine")


def test_a_recogniser_that_lacks_a_step_is_none(repository):
    (repository / "jasper" / "config.pbtxt").unlink()
    words = "'cpu' has no configuration for a whole recogniser: speech_features, jasper, ctc_decoder or moonshine$"
    with pytest.raises(InvalidArgument, match=words):
        models_of(repository, "cpu")


def test_a_misspelt_profile_is_refused_with_those_there_are(repository):
    with pytest.raises(InvalidArgument, match="profile 'cpu-moonshin' .* every model has: "):
        models_of(repository, "cpu-moonshin")

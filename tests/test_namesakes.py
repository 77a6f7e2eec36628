"""Tests mirror their sources: mmad/a/b.py has tests/a/test_b.py, or a line in the table here."""

from pathlib import Path

TESTS = Path(__file__).resolve().parent
PACKAGE = TESTS.parent / "mmad"

# These join or describe what other files hold.
WITHOUT = ("__init__.py", "build.py", "contract.py")

# Source without a namesake, and the test file that covers it.
COVERED = {
    "annotations/exchange/coding.py": "annotations/exchange/test_boris_project.py",
    "annotations/exchange/events.py": "annotations/exchange/test_plain.py",
    "annotations/exchange/raw.py": "annotations/exchange/test_plain.py",
    "annotations/exchange/recognise.py": "annotations/test_format_table.py",
    "annotations/exchange/source.py": "annotations/exchange/test_plain.py",
    "annotations/exchange/values.py": "annotations/exchange/test_plain.py",
    "annotations/labels/choice.py": "annotations/test_formats.py",
    "__main__.py": "test_docs.py",
    "checkpoint.py": "engine/runs/test_folder.py",
    "errors.py": "cli/test_main.py",
    "labels.py": "annotations/test_formats.py",
    "limits.py": "test_hostile_files.py",
    "packed.py": "test_hostile_files.py",
    "parsing.py": "test_hostile_files.py",
    "parts.py": "cli/test_extract_features.py",
    "sharded.py": "engine/test_sharding.py",
    "wording.py": "report/detector_figures/test_error_figures.py",
    "workers.py": "test_interrupts.py",
    "api/error_analysis.py": "api/test_scores.py",
    "api/extraction.py": "api/test_model.py",
    "api/files.py": "api/test_scores.py",
    "api/found.py": "api/test_model.py",
    "api/given.py": "api/test_model.py",
    "api/judging.py": "api/test_scores.py",
    "api/notebook.py": "api/test_results.py",
    "api/tables.py": "api/test_results.py",
    "annotations/activitynet.py": "annotations/test_formats.py",
    "annotations/elan/additions.py": "annotations/elan/test_writing.py",
    "annotations/elan/choice.py": "annotations/elan/test_reading.py",
    "annotations/elan/document.py": "annotations/elan/test_edits.py",
    "annotations/elan/lanes.py": "annotations/elan/test_writing.py",
    "annotations/elan/media.py": "annotations/elan/test_reading.py",
    "annotations/elan/tiers.py": "annotations/elan/test_edits.py",
    "annotations/elan/vocabularies.py": "annotations/elan/test_reading.py",
    "annotations/attach.py": "annotations/test_check.py",
    "annotations/charades.py": "annotations/test_standard_data_sets.py",
    "annotations/clips/check.py": "annotations/test_check_videos.py",
    "annotations/description/instances.py": "report/data_figures/test_durations.py",
    "annotations/ego4d.py": "annotations/test_standard_data_sets.py",
    "annotations/epic.py": "annotations/test_standard_data_sets.py",
    "annotations/levels.py": "engine/test_extra_clips.py",
    "annotations/mma52.py": "annotations/test_formats.py",
    "annotations/placeholders.py": "annotations/test_check.py",
    "annotations/problems.py": "annotations/test_check.py",
    "annotations/subsets.py": "annotations/test_formats.py",
    "annotations/validation.py": "annotations/test_formats.py",
    "cli/_camera.py": "cli/test_detect_camera.py",
    "cli/_card.py": "cli/test_push.py",
    "cli/_copies.py": "video/test_prepare.py",
    "cli/_corpus.py": "engine/jobs/test_detection.py",
    "cli/_workers.py": "test_ray_workers.py",
    "cli/_emotion_runs.py": "engine/test_emotion.py",
    "cli/_emotion_scores.py": "evaluation/emotions/test_predictions.py",
    "cli/_extraction.py": "cli/test_extract_features.py",
    "cli/_notices.py": "test_frame_rates.py",
    "cli/_recogniser.py": "cli/figures/test_recognisers.py",
    "cli/_options.py": "cli/test_main.py",
    "cli/_scores.py": "cli/test_eval.py",
    "cli/data/_options.py": "annotations/test_check.py",
    "cli/data/check.py": "annotations/test_check.py",
    "cli/data/compare.py": "annotations/description/test_comparison.py",
    "cli/data/crop.py": "video/test_crop.py",
    "cli/data/faces.py": "video/faces/test_copies.py",
    "cli/data/flow.py": "video/test_flow.py",
    "cli/data/split.py": "annotations/clips/test_split.py",
    "cli/data/stats.py": "annotations/test_check.py",
    "cli/error_analysis.py": "evaluation/test_error_analysis.py",
    "cli/figures/_instances.py": "cli/figures/test_data.py",
    "cli/figures/_writing.py": "cli/figures/test_data.py",
    "cli/features.py": "engine/features/test_compatibility.py",
    "cli/prepare.py": "video/test_prepare.py",
    "cli/train.py": "engine/test_loop.py",
    "cli/weights.py": "weights/test_load.py",
    "config/backbones/family.py": "data/test_transforms.py",
    "config/backbones/frames.py": "test_flow_stream.py",
    "config/backbones/reversible.py": "models/backbones/test_video_swin.py",
    "config/backbones/union.py": "test_families.py",
    "config/base.py": "config/test_reading.py",
    "config/data.py": "config/test_reading.py",
    "config/detectors/dense.py": "config/test_reading.py",
    "config/detectors/family.py": "test_families.py",
    "config/detectors/union.py": "test_families.py",
    "config/explain.py": "config/test_reading.py",
    "config/features.py": "engine/features/test_extraction.py",
    "config/inference.py": "config/test_reading.py",
    "config/labels.py": "test_hostile_files.py",
    "config/recognisers/family.py": "models/recognisers/test_auxiliary_heads.py",
    "config/recognisers/union.py": "test_families.py",
    "config/recognition.py": "models/recognisers/test_auxiliary_heads.py",
    "config/run.py": "config/test_reading.py",
    "config/views.py": "data/test_views.py",
    "data/features/conversion.py": "engine/features/test_compatibility.py",
    "data/features/files.py": "engine/features/test_extraction.py",
    "data/features/manifest.py": "engine/features/test_compatibility.py",
    "data/features/parts.py": "cli/test_extract_features.py",
    "data/samples.py": "data/test_clip_transform.py",
    "data/workers.py": "engine/features/test_compatibility.py",
    "config/backbones/plain_vit.py": "models/backbones/test_umt.py",
    "config/backbones/vit.py": "models/backbones/test_internvideo2.py",
    "config/backbones/resnet.py": "models/backbones/test_i3d.py",
    "engine/clip_inference.py": "engine/test_recognition.py",
    "engine/emotion_inference.py": "engine/test_emotion.py",
    "engine/precision.py": "engine/test_training.py",
    "engine/detection.py": "engine/test_loop.py",
    "engine/distributed.py": "engine/test_loop.py",
    "engine/features/backbone.py": "engine/features/test_extraction.py",
    "engine/features/plan.py": "engine/features/test_extraction.py",
    "engine/jobs/extraction.py": "cli/test_extract_features.py",
    "engine/features/videos.py": "cli/test_extract_features.py",
    "engine/runs/changes.py": "cli/test_predict.py",
    "engine/runs/onto_videos.py": "engine/features/test_compatibility.py",
    "engine/runs/pretrained.py": "weights/test_load.py",
    "engine/saliency.py": "cli/test_recognize.py",
    "engine/smoke.py": "test_configs.py",
    "engine/task.py": "engine/test_loop.py",
    "engine/trained/detector.py": "api/test_model.py",
    "engine/trained/device.py": "api/test_model.py",
    "engine/trained/emotion.py": "api/test_model.py",
    "engine/trained/opening.py": "api/test_model.py",
    "engine/trained/recogniser.py": "api/test_model.py",
    "evaluation/clips/scoring.py": "cli/test_eval.py",
    "evaluation/emotions/models.py": "evaluation/emotions/test_predictions.py",
    "evaluation/file_labels.py": "test_own_labels.py",
    "evaluation/run_files.py": "cli/test_eval.py",
    "engine/loggers/mlflow.py": "engine/loggers/test_services.py",
    "engine/loggers/tables.py": "engine/loggers/test_collection.py",
    "engine/loggers/tensorboard.py": "engine/test_training.py",
    "engine/loggers/wandb.py": "engine/loggers/test_services.py",
    "evaluation/agreement/symmetric_matching.py": "evaluation/agreement/test_pairs.py",
    "evaluation/agreement/consensus.py": "evaluation/agreement/test_pairs.py",
    "evaluation/ensemble_files.py": "cli/test_ensemble.py",
    "cli/figures/_predictions.py": "cli/figures/test_emotions.py",
    "evaluation/examples.py": "evaluation/clips/test_judged.py",
    "evaluation/beyond_detad.py": "evaluation/test_error_analysis.py",
    "evaluation/level_fusion.py": "models/recognisers/test_auxiliary_heads.py",
    "evaluation/matching.py": "evaluation/agreement/test_pairs.py",
    "evaluation/page_figures.py": "report/test_web_page.py",
    "evaluation/agreement/panel.py": "cli/test_agreement.py",
    "evaluation/clips/details.py": "report/test_recognition_page.py",
    "evaluation/submission.py": "cli/test_submit.py",
    "cli/export.py": "export/test_runs.py",
    "export/description.py": "export/test_reading.py",
    "export/networks.py": "export/test_writing.py",
    "export/packages.py": "export/test_writing.py",
    "export/sessions.py": "export/test_reading.py",
    "models/backbones/adaptable.py": "models/backbones/test_adapters.py",
    "models/backbones/blocks.py": "models/backbones/test_families.py",
    "models/backbones/build_plain_vit.py": "models/backbones/test_umt.py",
    "models/backbones/plain_vit.py": "models/backbones/test_videomae.py",
    "models/layers/positions.py": "models/backbones/test_internvideo2.py",
    "models/layers/rotary.py": "models/backbones/test_vjepa2.py",
    "models/backbones/build_adapters.py": "models/backbones/test_adapters.py",
    "models/backbones/features.py": "engine/features/test_extraction.py",
    "models/backbones/inflation.py": "models/backbones/test_i3d.py",
    "models/backbones/naming.py": "models/backbones/test_i3d.py",
    "models/backbones/resnet_naming.py": "models/backbones/test_i3d.py",
    "models/backbones/stacked_flow.py": "test_flow_stream.py",
    "models/detectors/dense/pyramid.py": "models/detectors/test_actionformer.py",
    "models/detectors/families.py": "test_families.py",
    "models/detectors/set_matching.py": "models/detectors/test_tadtr.py",
    "models/detectors/whole.py": "engine/test_inference.py",
    "models/from_settings.py": "test_defaults.py",
    "models/layers/residual2d.py": "models/backbones/test_resnet2d.py",
    "models/layers/residual3d.py": "models/backbones/test_i3d.py",
    "models/recognisers/families.py": "test_families.py",
    "models/recognisers/whole.py": "models/recognisers/test_auxiliary_heads.py",
    "report/agreement_tables.py": "cli/test_agreement.py",
    "report/colours.py": "report/test_timeline.py",
    "report/data_tables.py": "annotations/test_check.py",
    "report/emotion_tables.py": "annotations/emotions/test_statistics.py",
    "report/emotion_figures/histograms.py": "cli/figures/test_emotions.py",
    "report/emotion_figures/shares.py": "cli/figures/test_emotions.py",
    "report/ensemble_tables.py": "cli/test_ensemble.py",
    "evaluation/best_detections.py": "report/detector_figures/test_best_detections.py",
    "report/detector_figures/error_profiles.py": "report/detector_figures/test_error_figures.py",
    "report/blocks.py": "report/detector_figures/test_best_detections.py",
    "report/error_tables.py": "report/detector_figures/test_error_figures.py",
    "report/detector_figures/error_files.py": "evaluation/test_error_analysis.py",
    "report/figures.py": "report/test_timeline.py",
    "report/html_page.py": "report/test_web_page.py",
    "report/recogniser_figures/coefficients.py": "evaluation/clips/test_summed_scores.py",
    "report/recogniser_figures/confusion.py": "report/recogniser_figures/test_probabilities.py",
    "report/recogniser_figures/features.py": "report/recogniser_figures/test_probabilities.py",
    "report/comparison_table.py": "annotations/description/test_comparison.py",
    "report/data_figures/samples.py": "cli/figures/test_videos.py",
    "report/data_figures/temporal_gradient.py": "video/test_gradient.py",
    "report/data_figures/bars.py": "report/data_figures/test_class_ratio.py",
    "report/axes.py": "report/recogniser_figures/test_probabilities.py",
    "report/profile_tables.py": "cli/test_profile.py",
    "report/recognition_tables.py": "evaluation/clips/test_recognition.py",
    "report/recogniser_figures/saliency.py": "cli/test_recognize.py",
    "cli/_saliency.py": "cli/test_recognize.py",
    "synthetic/plan.py": "synthetic/test_dataset.py",
    "synthetic/face.py": "synthetic/test_emotions.py",
    "synthetic/render.py": "synthetic/test_motions.py",
    "synthetic/subjects.py": "synthetic/test_dataset.py",
    "video/closing.py": "video/test_reader.py",
    "video/copies.py": "video/test_prepare.py",
    "video/crop_sheet.py": "video/test_crop.py",
    "video/decord_reader.py": "video/test_reader.py",
    "video/faces/search.py": "video/faces/test_copies.py",
    "video/film_strip.py": "cli/test_detect.py",
    "video/open.py": "video/test_reader.py",
    "video/pyav_reader.py": "video/test_reader.py",
    "video/reading.py": "video/test_reader.py",
    "video/records.py": "cli/test_detect.py",
    "weights/describe.py": "weights/test_load.py",
    "weights/export.py": "weights/test_load.py",
    "weights/naming.py": "weights/test_load.py",
}

SOURCES = sorted(
    path.relative_to(PACKAGE) for path in PACKAGE.rglob("*.py") if path.name not in WITHOUT
)


def namesakes(source: Path) -> list[Path]:
    """The test files that bear the name of this source, or of the family that it belongs to."""
    folder, name = source.parent, source.stem.lstrip("_")
    places = [folder / f"test_{name}.py"]
    places += [place / f"test_{folder.name}.py" for place in (folder, folder.parent)]
    if source.parts[0] == "config":  # settings are tested with what is made of them
        made = Path("models", *folder.parts[1:])
        places += [place / f"test_{name}.py" for place in (made, made / name)]
    return [place for place in places if (TESTS / place).is_file()]


def test_every_source_has_a_namesake_or_says_what_covers_it() -> None:
    alone = [str(source) for source in SOURCES if not namesakes(source)]
    missing = sorted(set(alone) - COVERED.keys())
    assert not missing, f"add a test file of the same name, or a line in COVERED: {missing}"


def test_the_table_has_no_stale_lines() -> None:
    gone = sorted(COVERED.keys() - set(map(str, SOURCES)))
    assert not gone, f"no longer sources, remove them from COVERED: {gone}"
    untested = sorted(test for test in COVERED.values() if not (TESTS / test).is_file())
    assert not untested, f"COVERED names test files that do not exist: {untested}"
    named = sorted(source for source in COVERED if namesakes(Path(source)))
    assert not named, f"these have test files of their own now, remove them: {named}"


def test_every_test_file_in_a_folder_is_found_by_a_source() -> None:
    """What is about several rooms lies in tests/ itself."""
    found = {place for source in SOURCES for place in namesakes(source)}
    found |= set(map(Path, COVERED.values()))
    files = {path.relative_to(TESTS) for path in TESTS.rglob("test_*.py") if path.parent != TESTS}
    strangers = sorted(map(str, files - found))
    assert not strangers, f"rename them after their sources, or move them to tests/: {strangers}"

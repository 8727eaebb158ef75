"""The main job on the real embedded encoder: what is learned in English works in languages that gave no labels."""

import adapterxfer as ax


def test_choices_learned_in_english_carry_over_to_german_swahili_and_chinese(tmp_path):
    backbone = ax.load_backbone("mini", "auto")
    run = ax.train_target(
        "sample_choice",
        backbone,
        ax.bottleneck(reduction=4),
        out=tmp_path / "run",
        batch_size=16,
        epochs=5,
        languages=["en", "de", "sw", "zh"],
    )
    scores = {language: row["score"] for language, row in run.metrics["languages"].items()}
    assert scores["en"] >= 68, scores  # chance is 50; 80 was seen, and 60 questions have a standard error of 6
    assert run.metrics["average_without_english"] >= 62, scores

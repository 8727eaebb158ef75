"""The study at published data sizes, for `cost`: ten English intermediates by the ten targets of XTREME-R.

Rows are those of the published tables (Phang et al. 2020; Ruder et al. 2021; Social IQa: Sap et al. 2019); a row of
multiple choice is one choice, of retrieval one text. Where a table gives a range of test sizes, its middle is taken for
each language. Lengths are means of XLM-R tokens with the special ones over real files of the task, or of a task of its
kind where there were none (ANLI+, QQP, HellaSwag, CCG, SQuAD 2). Epochs are those of jiant's XTREME scripts, two for
each intermediate. Mewsli-X has its evaluation only, at the protocol's 64 tokens a text: the size of its training set
was not in the tables.
"""

from adapterxfer.grid.cost import XLM_R_LARGE, Data, Shots, Study

NLI, QUESTION, SENTENCE, TAGGED, CHOICE = 43, 200, 11, 25, 28  # mean tokens of a row

INTERMEDIATES = (
    Data("anli_plus", 1_104_934, NLI, 2),
    Data("mnli", 392_702, NLI, 2),
    Data("qqp", 363_846, NLI, 2),
    Data("squad_v2", 130_319, QUESTION, 2),
    Data("squad_v1", 87_599, QUESTION, 2),
    Data("hellaswag", 39_905 * 4, NLI, 2),
    Data("ccg", 38_015, TAGGED, 2),
    Data("cosmosqa", 25_588 * 4, 110, 2),
    Data("siqa", 33_410 * 3, CHOICE, 2),
    Data("commonsenseqa", 9_741 * 5, 23, 2),
)
TARGETS = (
    Data("xnli", 392_702, NLI, 2, 15 * 5_010, 46, same_as="mnli"),
    Data("xcopa", 400 * 2, CHOICE, 5, 11 * 500 * 2, 28),
    Data("udpos", 21_253, TAGGED, 10, 38 * (47 + 20_436) // 2, 36),
    Data("panx", 20_000, 14, 10, 48 * (1_000 + 10_000) // 2, 17),
    Data("xquad", 87_599, QUESTION, 2, 12 * 1_190, 238, same_as="squad_v1"),
    Data("mlqa", 87_599, QUESTION, 2, 7 * (4_517 + 11_590) // 2, 213, same_as="squad_v1"),
    Data("tydiqa", 3_696, 174, 2, 9 * (323 + 2_719) // 2, 147),
    Data("tatoeba", 0, 0, 0, 41 * 2 * 1_000, SENTENCE),
    Data("mewsli_x", 0, 0, 0, 15_000 + 1_000_000, 64),
    Data("lareqa", 87_599 * 2, 178, 3, 13_090 + 13_014, 182),
)


def published_study(strategies: tuple[str, ...] = ("stack", "fuse", "continue", "merge"), top: int = 12) -> Study:
    """Return the grid of 10 x 10 x 4 strategies x 3 seeds, with k = 0 and three shot sizes of five buckets each."""
    return Study(INTERMEDIATES, TARGETS, strategies, "stack", top, seeds=3, shots=Shots(), encoder=XLM_R_LARGE)

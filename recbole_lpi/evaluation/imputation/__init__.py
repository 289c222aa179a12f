"""The reward of what was not logged, imputed from ratings (paper, section 4.1; Steck 2010).

Which ratings there are depends on what they would be: people rate what they like. A factorisation
of the observed ratings alone imputes too many high ones, so that of the whole matrix is used, in
which every missing entry counts as a low rating r_m with a small weight w_m.

The items' factors come from training sessions. A held-out session gets its factors from its own
ratings, by one more half-step of the alternating least squares with the items' factors fixed. A
predicted rating becomes a reward by linear interpolation between the rewards of the ratings that
occur, and beyond the lowest and the highest it is theirs.

    settings           of the factorisation
    rated_log          the log it is fitted to: ratings by session, and what each is worth
    imputed_rewards    the fitted imputation, and the rewards of a held-out part
    fit_report         its held-out error, and imputed against observed rewards
    imputation_file    the file that keeps it
    fitting            the one that was asked for: found, or fitted and kept
"""

from recbole_lpi.evaluation.imputation.imputed_rewards import Imputation, ImputedRewards
from recbole_lpi.evaluation.imputation.settings import ImputationSettings

__all__ = ["Imputation", "ImputationSettings", "ImputedRewards"]

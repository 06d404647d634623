"""Every threshold of the verdict, in one place, each with its reason.

Accuracies are fractions, losses nats. A change to any rule raises VERSION, which verdict.json
carries, so that an old verdict can be told from today's. What counts as an unsure example or a
vanished gradient is part of a measurement: learning/probe.py.
"""

from __future__ import annotations

VERSION = 2

# Trends
CONFIDENCE_Z = 1.645  # two-sided 90%
WINDOW = (8, 50)  # epochs: fewer tell no trend from noise, older ones tell of another phase
TRANSIENT = 1 / 3  # of a segment: after a jump of lr the loss falls steeply before it settles
SMOOTH_TRANSIENT = 3 / 4  # under a smooth schedule only the last, slow part tells where it ends
PRIOR_AUTOCORRELATION = 0.1  # of published curves: near 0 in flat phases, up to .5 late in a run
MOST_AUTOCORRELATION = 0.5
LIMIT_AUTOCORRELATION = 0.8  # of an estimate: beyond it a short series is taken for a trend
PRIOR_WEIGHT = 4  # epochs' worth of belief in it; a few epochs cannot tell by themselves
SHORT_SERIES_BIAS = 2.5  # of an estimated autocorrelation, times the epochs: with these three the
# intervals cover 87 to 93% for autocorrelations of .5 to 0 (python -m tests.helpers.made_curves)

# What matters: a change over the window below it counts as none
TRAIN_LOSS_SHARE, TRAIN_LOSS_NATS = 0.01, 0.02
TEST_LOSS_SHARE = 0.02
ACCURACY_POINTS = 0.01
ACCURACY_SE = 2  # standard errors of the paired difference of two epochs on the same images
PAIRED_CORRELATION = 0.9  # of hits on the same images some epochs apart: few change sides
DEPARTS_SD = 4  # of single epochs' noise, by which the last epochs leave a window that was flat
DEPARTS_EPOCHS = 3  # by the median of so many; by the last alone if it lies twice as far away
BAND = 0.03  # "unresolved" within 3 points either way settles the practical question

# Segments
JUMP_RATIO, CONSTANT_BEFORE = 1.5, 5  # lr columns: a jump, after so many equal epochs
RESTART_RATIO = 10  # by which lr rises from one epoch to the next where a smooth one starts again
EXHAUSTED = 0.02  # of the peak lr: two tenfold drops, or a smooth schedule's end

# Train axis
SHORTEST, SHORTEST_SINCE_JUMP = 8, 5  # epochs
STUCK_ENTROPY, STUCK_EPOCHS = 0.98, 5  # robust cross-entropy of a constant guess is the entropy
CHANCE_SHARE, CHANCE_POINTS = 0.5, 0.05  # above the majority class: still chance, the smaller one
DIVERGED_NATS, DIVERGED_SHARE, DIVERGED_EPOCHS = 0.2, 0.1, 3
DIVERGED_SD = 6  # of a three-epoch mean's noise; the minimum of a noisy curve is low by chance
SWING_SHARE = 0.1  # of the loss's whole descent, from epoch to epoch
TREND_DESPITE_SWINGS = (
    1.0  # widths of its 90% interval: 3 sd; of pure swings a tenth exceed it once
)
SWING_NATS = 0.05  # below which swings of a loss that hardly fell are only noise

# Held-out axis
MEAN_OVER = 5  # epochs; max minus mean of a flat phase is 2 points, so no single epoch counts
# Rice et al. 2020; the sd is that of a 5-epoch mean, the best of which is high by chance
OVERFIT_POINTS, OVERFIT_SD, OVERFIT_LOSS, OVERFIT_EPOCHS = 0.02, 3, 0.05, 5
BEST_OVER_MAJORITY = 2  # times: a best accuracy near chance is nothing to overfit or collapse from
FAR_BELOW_SHARE, FAR_BELOW_POINTS = 0.5, 0.2  # catastrophic overfitting (Wong et al. 2020)
RECENT = 5  # measured epochs that say how things stand now
FLICKERS = 2  # of them: catastrophic overfitting comes and goes where lr is high
COLLAPSED_EPOCHS = 3  # at chance in a row; shorter collapses are known to recover

# Inner axis
WEAK_SHARE = 0.1  # of robust minus clean loss, gained by doubling the attack's steps
LEAST_GAIN = 0.01  # nats of robust minus clean loss, below which its share is noise
VANISHED_SHARE = 0.5  # of the examples that are misclassified or of low confidence

# Seeds
SEEDS_Z = 1.96  # two-sided 95%
OUTLIER = 3.0  # times the other seeds' range, by which one seed decides the impression
LEAST_RANGE = 0.02  # two points are no impression to decide

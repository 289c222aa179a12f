"""The decision report: whether a policy is to be shipped, and everything that this rests on.

rules        ship, hold or cannot tell: a pure function of the evidence, with its reasons
evidence     what finished runs say of each policy beside what runs now
logs         what a log is of, and what of it may decide
estimates    the improvement by off-policy estimates, over sessions and seeds
segments     for which sessions a policy is better or worse
choices      how concentrated first choices are
doubts       what in a run may be unsound
source       the data of a run, where they can be reached: histories, titles, Table 2
baseline     the runs of what policies are compared with, measured where they were not
examples     sessions with the lists of two policies side by side
content      everything that the page shows
pictures     its figures as SVG
page         the HTML file
"""

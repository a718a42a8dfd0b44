# SPDX-License-Identifier: Apache-2.0
"""The faster equals that there are, each a rule of its own file."""

from .components import largest_component
from .holes import filled_holes
from .most_probable import probabilities_to_labels
from .one_pass import in_one_pass
from .restoring import scores_to_labels
from .rule import Rule
from .windows import sliding_window_inferer

# of each list, rules for several steps stand before those for one of them
PREPROCESSING: tuple[Rule, ...] = (in_one_pass,)
POSTPROCESSING: tuple[Rule, ...] = (
    scores_to_labels, probabilities_to_labels, largest_component, filled_holes,
)  # fmt: skip
INFERERS: tuple[Rule, ...] = (sliding_window_inferer,)

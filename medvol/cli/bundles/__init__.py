# SPDX-License-Identifier: Apache-2.0
"""The commands of `medvol bundle`: a file for each group, with `add_parser` and what it runs."""

# SPDX-License-Identifier: Apache-2.0
"""Data to train and measure on: datalists, their sources, parts and leaks."""

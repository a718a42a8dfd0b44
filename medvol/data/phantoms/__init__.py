# SPDX-License-Identifier: Apache-2.0
"""Chest CTs made by a program, with known lesions."""

# SPDX-License-Identifier: Apache-2.0
"""Bundles on their way to other people: checked, before they are given away or used."""

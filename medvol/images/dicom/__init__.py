# SPDX-License-Identifier: Apache-2.0
"""DICOM series and radiographs as images, with strict geometry."""

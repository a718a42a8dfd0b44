# SPDX-License-Identifier: Apache-2.0
"""Files and folders to images with their place in the patient, or a refusal."""

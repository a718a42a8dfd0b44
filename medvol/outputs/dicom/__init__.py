# SPDX-License-Identifier: Apache-2.0
"""What was found, as DICOM for the archive that the image came from; in one file each."""

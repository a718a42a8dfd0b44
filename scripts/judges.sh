#!/usr/bin/env bash
# Each outside judge in an environment of its own, and every bundle before each of them.
#
#     scripts/judges.sh [--packed] [BUNDLE...]        names or folders; default: all shipped
#
# JUDGES names the folder of the environments and of all that is written, default .judges. PYTHON
# is one with medvol. ZOO may name a clone of Project-MONAI/model-zoo, whose ci/verify_bundle.py
# judges too; without it, and with network, it is cloned. A judge that does not install is left out.
set -uo pipefail
cd "$(dirname "$0")/.." || exit 1
JUDGES=${JUDGES:-.judges}
PYTHON=${PYTHON:-python3}
ZOO=${ZOO:-$JUDGES/model-zoo}
ZOO_URL=https://github.com/Project-MONAI/model-zoo
MONAI="torch==2.13.0 monai==1.6.1 pytorch-ignite==0.5.5 nibabel"
TOOLS="fire jsonschema tensorboard parameterized pyyaml einops requests" # of MONAI and of the zoo
CARRIED="SimpleITK connected-components-3d scipy scikit-learn matplotlib pillow psutil pydicom tqdm"

# install NAME STEP...: a step is what one `pip install` gets. What is there is left as it is.
install() {
  local name=$1 place=$JUDGES/$1
  shift
  [ -f "$place/.installed" ] && return
  "$PYTHON" -m venv "$place" || return
  for step in "$@"; do
    # shellcheck disable=SC2086 # a step is several words
    "$place/bin/pip" install --quiet $step || { echo "judges: $name was not installed" >&2; return; }
  done
  touch "$place/.installed"
}

mkdir -p "$JUDGES"
install monai "$MONAI" "$TOOLS $CARRIED"
install monailabel "$MONAI" "$TOOLS $CARRIED" \
  "itk pynrrd pydantic pydantic-settings python-dotenv expiring-dict shapely gdown lmdb scikit-image" \
  "google-auth cachetools openslide-python openslide-bin pydicom<3" "--no-deps monailabel==0.8.5"
# the programs of viewers alone, as they are; legacy-cgi is Python's own up to 3.12
install viewer "requests requests-toolbelt legacy-cgi" "--no-deps monailabel==0.8.5"
# holoscan needs setuptools with pkg_resources, and the CUDA runtime also where there is no GPU
install deploy "$MONAI" "$TOOLS $CARRIED" "setuptools<80" \
  "--no-deps monai-deploy-app-sdk==3.5.0 holoscan-cu12==3.9.0 nvidia-cuda-runtime-cu12 holoscan-cli" \
  "colorama typeguard cloudpickle wheel-axle-runtime highdicom" "tritonclient[http,grpc]"
[ -d "$ZOO" ] || git clone --quiet --depth 1 "$ZOO_URL" "$ZOO" || echo "judges: no zoo" >&2
viewers=0
if [ -f "$JUDGES/viewer/.installed" ]; then
  viewer=$(cd "$JUDGES/viewer" && pwd)/bin/python
  MEDVOL_MONAILABEL_PYTHON=$viewer "$PYTHON" -m pytest -q tests/server/monailabel/test_clients.py || viewers=1
fi
"$PYTHON" -P tests/judges/table.py "$JUDGES" --zoo "$ZOO" "$@"
exit $((viewers || $?))

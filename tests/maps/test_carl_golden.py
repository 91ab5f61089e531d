"""Towns and frames against those that CaRL's own map baker and renderer made of the same files."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from sim_adapters.maps.opendrive import load_map_bank
from sim_adapters.scene.map_bank import MapBank
from sim_adapters.scene.map_layers import LayerBit, untile_plane
from tests.data_folders import data_folder
from tests.observation.bev_helpers import allocate, make_observer

FOLDER = data_folder("CARL_GOLDEN", "carl_golden")
TOWNS = sorted(path.stem for path in FOLDER.glob("*.npz"))
LARGEST_SHARE = 0.002  # of CaRL's pixels; the ends of lines that fade out are left
LAYERS = {
    "road": LayerBit.DRIVING | LayerBit.PARKING,
    "markings": LayerBit.MARKING,
    "markings_broken": LayerBit.MARKING_BROKEN,
    "shoulder": LayerBit.SHOULDER | LayerBit.MEDIAN,
}
CHANNELS = {
    "road": 0,
    "markings": 1,
    "speed_limits": 2,
    "shoulder": 3,
}  # place in the golden frames


@dataclass(frozen=True)
class Golden:
    """One town of CaRL's and ours."""

    bank: MapBank
    data: dict[str, NDArray]

    def layer(self, name: str) -> NDArray[np.bool_]:
        """Rows go down (CARLA's y)."""
        columns = int(self.data["shape"][1])
        return np.unpackbits(self.data[name], axis=1)[:, :columns].astype(bool)

    def our_layer(self, bits: int) -> NDArray[np.bool_]:
        """Our plane on CaRL's canvas, which is padded to a square."""
        plane = (untile_plane(self.bank.layers, 0)[::-1] & bits) != 0
        layers, offset = self.bank.layers, self.data["world_offset_m"].astype(float)
        first_column = round(2.0 * (float(layers.origin_x[0]) - offset[0]))
        top_y = float(layers.origin_y[0]) + (len(plane) - 1) / 2.0
        first_row = round(2.0 * (-top_y - offset[1]))
        rows, columns = self.data["shape"].tolist()
        canvas = np.zeros((rows + 64, columns + 64), bool)
        canvas[32 + first_row :, 32 + first_column :][: plane.shape[0], : plane.shape[1]] = plane
        return canvas[32:-32, 32:-32]


@pytest.fixture(scope="module", params=TOWNS)
def golden(request: pytest.FixtureRequest) -> Golden:
    with np.load(Path(FOLDER) / f"{request.param}.npz") as archive:
        return Golden(load_map_bank([request.param]), dict(archive))


@pytest.mark.parametrize("name", LAYERS)
def test_layers_are_carl_s(golden: Golden, name: str) -> None:
    theirs, ours = golden.layer(name), golden.our_layer(int(LAYERS[name]))
    assert np.count_nonzero(ours != theirs) <= LARGEST_SHARE * np.count_nonzero(theirs)


def test_medians_are_what_carl_s_shoulders_have_more_than_lanes(golden: Golden) -> None:
    theirs, shoulders = golden.layer("shoulder"), golden.our_layer(int(LayerBit.SHOULDER))
    medians = golden.our_layer(int(LayerBit.MEDIAN))
    more = np.count_nonzero(theirs & ~shoulders)
    assert np.count_nonzero(medians & ~theirs) <= LARGEST_SHARE * np.count_nonzero(theirs)
    assert np.count_nonzero(medians & theirs & ~shoulders) == pytest.approx(more, rel=0.01, abs=12)


def test_frames_are_carl_s(golden: Golden) -> None:
    observer = make_observer("carl_bev", "channels.shoulder.layers=[SHOULDER,MEDIAN]")
    poses = golden.data["poses_carla"]
    rows = {name: 0 * array for name, array in allocate(observer.stored_space, len(poses)).items()}
    rows["pose"][:] = poses * (1.0, -1.0, 1.0, -np.pi / 180.0)
    out = allocate(observer.space, len(poses))
    observer.paint(rows, golden.bank, out)
    for name, place in CHANNELS.items():
        ours = out["bev"][:, observer.channel_names.index(name)].astype(int)
        theirs = golden.data["frames"][:, place].astype(int)
        different = np.count_nonzero(np.abs(ours - theirs) > 8)
        assert different <= 0.01 * np.count_nonzero(theirs), name

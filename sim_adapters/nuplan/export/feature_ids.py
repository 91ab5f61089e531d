"""First feature id of each layer: lanes and connectors must differ, the others do to be legible."""

FIRST_FID = {
    "lanes_polygons": 100_000,
    "lane_connectors": 200_000,
    "lane_groups_polygons": 300_000,
    "lane_group_connectors": 400_000,
    "intersections": 500_000,
    "stop_polygons": 510_000,
    "crosswalks": 520_000,
    "walkways": 530_000,
    "carpark_areas": 540_000,
    "generic_drivable_areas": 550_000,
    "road_segments": 560_000,
    "gen_lane_connectors_scaled_width_polygons": 600_000,
    "boundaries": 700_000,
    "baseline_paths": 800_000,
}
FIRST_LANE_FID = FIRST_FID["lanes_polygons"]
FIRST_CONNECTOR_FID = FIRST_FID["lane_connectors"]
FIRST_BLOCK_FID = FIRST_FID["lane_groups_polygons"]
FIRST_BLOCK_LINK_FID = FIRST_FID["lane_group_connectors"]

"""Tables of a nuPlan log; columns and their order are nuPlan's.

The indices are ours: without them every query of the devkit scans whole tables.
"""

SCHEMA = """
CREATE TABLE log (token BLOB NOT NULL PRIMARY KEY, vehicle_name VARCHAR(64), date VARCHAR(64),
    timestamp INTEGER, logfile VARCHAR(64), location VARCHAR(64), map_version VARCHAR(64));
CREATE TABLE lidar (token BLOB NOT NULL PRIMARY KEY, log_token BLOB NOT NULL, channel VARCHAR(64),
    model VARCHAR(64), translation BLOB, rotation BLOB);
CREATE TABLE camera (token BLOB NOT NULL PRIMARY KEY, log_token BLOB NOT NULL, channel VARCHAR(64),
    model VARCHAR(64), translation BLOB, rotation BLOB, intrinsic BLOB, distortion BLOB,
    width INTEGER, height INTEGER);
CREATE TABLE image (token BLOB NOT NULL PRIMARY KEY, next_token BLOB, prev_token BLOB,
    ego_pose_token BLOB NOT NULL, camera_token BLOB NOT NULL, filename_jpg VARCHAR(128),
    timestamp INTEGER);
CREATE TABLE ego_pose (token BLOB NOT NULL PRIMARY KEY, timestamp INTEGER, x FLOAT, y FLOAT,
    z FLOAT, qw FLOAT, qx FLOAT, qy FLOAT, qz FLOAT, vx FLOAT, vy FLOAT, vz FLOAT,
    acceleration_x FLOAT, acceleration_y FLOAT, acceleration_z FLOAT, angular_rate_x FLOAT,
    angular_rate_y FLOAT, angular_rate_z FLOAT, epsg INTEGER, log_token BLOB NOT NULL);
CREATE TABLE scene (token BLOB NOT NULL PRIMARY KEY, log_token BLOB NOT NULL, name TEXT,
    goal_ego_pose_token BLOB, roadblock_ids TEXT);
CREATE TABLE lidar_pc (token BLOB NOT NULL PRIMARY KEY, next_token BLOB, prev_token BLOB,
    ego_pose_token BLOB NOT NULL, lidar_token BLOB NOT NULL, scene_token BLOB,
    filename VARCHAR(128), timestamp INTEGER);
CREATE TABLE category (token BLOB NOT NULL PRIMARY KEY, name VARCHAR(64), description TEXT);
CREATE TABLE track (token BLOB NOT NULL PRIMARY KEY, category_token BLOB NOT NULL, width FLOAT,
    length FLOAT, height FLOAT);
CREATE TABLE lidar_box (token BLOB NOT NULL PRIMARY KEY, lidar_pc_token BLOB NOT NULL,
    track_token BLOB NOT NULL, next_token BLOB, prev_token BLOB, x FLOAT, y FLOAT, z FLOAT,
    width FLOAT, length FLOAT, height FLOAT, vx FLOAT, vy FLOAT, vz FLOAT, yaw FLOAT,
    confidence FLOAT);
CREATE TABLE scenario_tag (token BLOB NOT NULL PRIMARY KEY, lidar_pc_token BLOB NOT NULL,
    type TEXT, agent_track_token BLOB);
CREATE TABLE traffic_light_status (token BLOB NOT NULL PRIMARY KEY, lidar_pc_token BLOB NOT NULL,
    lane_connector_id INTEGER, status VARCHAR(8));
"""

INDICES = """
CREATE INDEX ix_lidar_box_lidar_pc ON lidar_box(lidar_pc_token);
CREATE INDEX ix_lidar_box_track ON lidar_box(track_token);
CREATE INDEX ix_light_lidar_pc ON traffic_light_status(lidar_pc_token);
CREATE INDEX ix_lidar_pc_timestamp ON lidar_pc(timestamp);
CREATE INDEX ix_lidar_pc_ego_pose ON lidar_pc(ego_pose_token);
CREATE INDEX ix_lidar_pc_scene ON lidar_pc(scene_token);
CREATE INDEX ix_scenario_tag_lidar_pc ON scenario_tag(lidar_pc_token);
"""

CATEGORIES = {  # name in the files by TrackType
    0: "vehicle",
    1: "pedestrian",
    2: "bicycle",
    3: "traffic_cone",
    4: "barrier",
    5: "czone_sign",
    6: "generic_object",
}

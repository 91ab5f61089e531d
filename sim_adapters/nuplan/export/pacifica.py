"""The car of nuPlan's logs, a Chrysler Pacifica; the numbers are the devkit's."""

LENGTH_M, WIDTH_M, HEIGHT_M = 5.176, 2.297, 1.777
REAR_AXLE_TO_CENTER_M = 1.461

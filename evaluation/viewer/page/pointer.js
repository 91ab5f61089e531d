// The mouse on a scene: drag to look around, turn the wheel to zoom, click to choose a road user.

const DRAG_PX = 4; // less is a click

/**
 * @param {Scene} scene
 * @param {object} page
 * @param {() => string} page.mode of the camera: "north", "heading" or "free"
 * @param {() => void} page.free let the camera go where it is dragged
 * @param {() => void} page.changed paint again
 * @param {(point: number[]) => void} page.clicked a point of the canvas
 */
export function connectPointer(scene, page) {
  const { canvas } = scene;
  let dragged = 0;
  canvas.addEventListener("pointerdown", (event) => {
    dragged = 0;
    canvas.setPointerCapture(event.pointerId);
  });
  canvas.addEventListener("pointermove", (event) => {
    if (!event.buttons) return;
    dragged += Math.abs(event.movementX) + Math.abs(event.movementY);
    if (dragged < DRAG_PX) return;
    const { turn } = scene.camera;
    if (page.mode() !== "free") page.free();
    scene.camera.turn = turn;
    scene.camera.panBy(event.movementX, event.movementY);
    page.changed();
  });
  canvas.addEventListener("click", (event) => {
    if (dragged < DRAG_PX && scene.drive) page.clicked([event.offsetX, event.offsetY]);
  });
  canvas.addEventListener(
    "wheel",
    (event) => {
      event.preventDefault();
      const factor = Math.exp(-event.deltaY / 400);
      if (page.mode() === "free") {
        scene.camera.zoomAt(factor, [event.offsetX, event.offsetY], scene.size);
      } else scene.camera.zoomBy(factor);
      page.changed();
    },
    { passive: false },
  );
}

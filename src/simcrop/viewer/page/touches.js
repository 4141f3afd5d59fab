// Two fingers on the canvas, and the wheel with Ctrl (what a trackpad's pinch sends): larger or smaller.
// Lengths in px.

/** `scan.zoom(factor)` follows the fingers; one finger and the plain wheel stay NiiVue's. */
export function touches(canvas, scan) {
  let apart = 0;
  const listen = (kind, listener) =>
    canvas.parentElement.addEventListener(kind, listener, { capture: true, passive: false });
  const ours = (event) => {
    event.preventDefault();
    event.stopPropagation();
  };
  listen("touchstart", (event) => {
    if (event.touches.length !== 2) return;
    apart = between(event.touches);
    ours(event);
  });
  listen("touchmove", (event) => {
    if (event.touches.length !== 2 || !apart) return;
    const now = between(event.touches);
    if (scan.open) scan.zoom(now / apart);
    apart = now;
    ours(event);
  });
  listen("touchend", (event) => {
    if (!apart) return;
    if (event.touches.length === 0) apart = 0;
    ours(event);
  });
  listen("wheel", (event) => {
    if (!event.ctrlKey) return;
    if (scan.open) scan.zoom(Math.exp(-event.deltaY / 300));
    ours(event);
  });
}

const between = ([one, other]) => Math.hypot(one.clientX - other.clientX, one.clientY - other.clientY);

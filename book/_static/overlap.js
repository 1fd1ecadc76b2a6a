// A figure with two sliders: how many taps of an up-convolution's kernel reach each output pixel. Uneven is a checkerboard.
// Stands in for <div class="dcgan-overlap"></div>. The counts are those of dcgan_lib.models.overlap.
(() => {
  "use strict";
  const SIZE = 16;

  // (SIZE, SIZE) counts, or null where no output padding gives that size.
  function overlap(kernel, stride, size = SIZE) {
    const small = Math.ceil(size / stride), padding = (kernel - 1) >> 1;
    const more = size - ((small - 1) * stride - 2 * padding + kernel);
    if (more < 0 || more >= stride) return null;
    const line = new Array(size).fill(0);  // the kernel is a square: counts are products of a row's and a column's
    for (let i = 0; i < small; i++)
      for (let k = 0; k < kernel; k++) {
        const at = i * stride + k - padding;
        if (at >= 0 && at < size) line[at] += 1;
      }
    return line.map((a) => line.map((b) => a * b));
  }

  function slider(name, min, max, value, changed) {
    const label = document.createElement("label"), input = document.createElement("input"), output = document.createElement("output");
    Object.assign(input, { type: "range", min, max, step: 1, value });
    input.setAttribute("aria-label", name);
    output.textContent = value;
    input.addEventListener("input", () => { output.textContent = input.value; changed(); });
    label.append(name, input, output);
    return { label, input };
  }

  function build(root) {
    const canvas = document.createElement("canvas"), said = document.createElement("p");
    canvas.setAttribute("role", "img");
    said.setAttribute("role", "status");
    const kernel = slider("kernel", 1, 8, 5, draw), stride = slider("stride", 1, 4, 2, draw);
    const controls = document.createElement("div");
    controls.className = "dcgan-overlap-controls";
    controls.append(kernel.label, stride.label, said);
    root.replaceChildren(canvas, controls);

    function draw() {
      const k = Number(kernel.input.value), s = Number(stride.input.value), counts = overlap(k, s);
      const context = canvas.getContext("2d");
      canvas.width = canvas.height = SIZE;
      if (!counts) {
        said.textContent = `A kernel of ${k} with stride ${s} does not give a side of ${SIZE}.`;
        canvas.setAttribute("aria-label", said.textContent);
        return;
      }
      const inner = counts.slice(4, 12).flatMap((row) => row.slice(4, 12));  // away from the rim
      const low = Math.min(...inner), high = Math.max(...inner), image = context.createImageData(SIZE, SIZE);
      const most = Math.max(...counts.flat());
      counts.flat().forEach((count, p) => {
        const grey = 255 - Math.round((220 * count) / most);
        image.data.set([grey, grey, grey, 255], 4 * p);
      });
      context.putImageData(image, 0, 0);
      said.textContent = low === high
        ? `Inside, every pixel gets ${low} ${low === 1 ? "tap" : "taps"}: no checkerboard. The stride divides the kernel.`
        : `Inside, pixels get ${low} to ${high} taps: a checkerboard. The stride does not divide the kernel.`;
      canvas.setAttribute("aria-label", `kernel ${k}, stride ${s}. ${said.textContent}`);
    }
    draw();
    root.dataset.ready = "yes";
  }

  window.DCGAN_OVERLAP = overlap;  // for tests
  const start = () => document.querySelectorAll(".dcgan-overlap").forEach(build);
  if (document.readyState === "loading") document.addEventListener("DOMContentLoaded", start);
  else start();
})();

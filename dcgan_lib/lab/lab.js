// The lab: runs a generator (window.DCGAN_NET, written by `dcgan export lab`) in the page and draws what the reader asks
// for. A classic script without dependencies, so that it works from file:// too.
(() => {
  "use strict";

  // ---- the generator -------------------------------------------------------------------------------------------

  const base64 = (text) => Uint8Array.from(atob(text), (c) => c.charCodeAt(0));
  const pad4 = (n) => (n + 3) & ~3;

  // Five characters are four bytes (Python's base64.b85encode).
  function base85(text) {
    const letters = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz!#$%&()*+-;<=>?@^_`{|}~";
    const digit = new Uint8Array(128), out = new DataView(new ArrayBuffer((text.length / 5) * 4));
    for (let i = 0; i < 85; i++) digit[letters.charCodeAt(i)] = i;
    for (let i = 0, at = 0; i < text.length; at += 4) {
      let value = 0;
      for (const end = i + 5; i < end; i++) value = value * 85 + digit[text.charCodeAt(i)];
      out.setUint32(at, value);
    }
    return out.buffer;
  }

  // Two planes of bytes, low and high, of numbers in the order 0, -1, 1, -2, … → Int16Array
  async function integers(text, length) {
    const stream = new Blob([base85(text).slice(0, length)]).stream().pipeThrough(new DecompressionStream("gzip"));
    const planes = new Uint8Array(await new Response(stream).arrayBuffer()), n = planes.length / 2;
    return Int16Array.from({ length: n }, (_, i) => {
      const v = planes[i] | (planes[n + i] << 8);
      return v & 1 ? -((v + 1) >> 1) : v >> 1;
    });
  }

  // Rounds outputs up to a multiple of 4 and lays weights as the kernel reads them: [taps][outputs / 8][inputs][8].
  // `deep` is how many channels the layer before really wrote: its outputs, rounded up; the added ones are 0.
  function arrange(layer, floats, q, at, deep) {
    const { taps, inputs, outputs } = layer, wide = pad4(outputs), count = taps * inputs * outputs;
    const scale = floats.subarray(at.floats, at.floats + outputs), bias = new Float32Array(wide);
    bias.set(floats.subarray(at.floats + outputs, at.floats + 2 * outputs));
    const weight = new Float32Array(taps * deep * wide), dense = layer.kernel === undefined;
    for (let t = 0, s = at.weights; t < taps; t++)
      for (let i = 0; i < inputs; i++)
        for (let o = 0; o < outputs; o++, s++) {
          const block = o & ~7, lanes = Math.min(8, wide - block);
          const to = dense ? i * wide + o : (t * wide + block) * deep + i * lanes + (o - block);
          weight[to] = q[s] * scale[o];
        }
    at.floats += 2 * outputs;
    at.weights += count;
    return { ...layer, inputs: deep, wide, weight, bias };
  }

  async function load(net) {
    const floats = new Float32Array(base85(net.floats)), q = await integers(net.weights, net.bytes), at = { floats: 0, weights: 0 };
    const layers = [];
    for (const layer of net.layers) {
      const before = layers[layers.length - 1], between = before && before.kernel !== undefined;
      layers.push(arrange(layer, floats, q, at, between ? before.wide : layer.inputs));
    }
    // Memory: the kernel's stack, then weights, then a buffer of zero-bordered activations for each layer.
    let top = 131072;
    const take = (floats) => { const p = top; top += 4 * pad4(floats); return p; };
    for (const layer of layers) { layer.w = take(layer.weight.length); layer.b = take(layer.wide); }
    const input = take(net.layers[0].inputs);  // the latent, and behind it the label's one-hot
    layers.forEach((layer, i) => {
      const next = layers[i + 1], last = layer.kernel === undefined && (!next || next.kernel === undefined);
      if (last) { layer.y = take(layer.wide); return; }
      layer.side = layer.out ?? next.size;
      layer.depth = layer.kernel === undefined ? next.inputs : layer.wide;
      layer.border = next ? next.kernel : 0;
      layer.row = (layer.side + 2 * layer.border) * layer.depth;
      layer.y = take(layer.side * layer.row) + 4 * layer.border * layer.depth;
      if (layer.kernel === undefined) layer.flat = take(layer.wide);
    });
    const memory = new WebAssembly.Memory({ initial: Math.ceil(top / 65536) });
    const { instance } = await WebAssembly.instantiate(base64(net.kernel), { env: { memory } });
    const heap = new Float32Array(memory.buffer), { dense, up } = instance.exports;
    for (const layer of layers) { heap.set(layer.weight, layer.w / 4); heap.set(layer.bias, layer.b / 4); delete layer.weight; }
    const final = layers[layers.length - 1];

    // A generator with classes: outputs without weights, whose bias is the label's one-hot, join the next layer's input.
    const setLabel = (label) => {
      for (let c = 0; c < net.classes; c++) heap[input / 4 + net.latentDim + c] = c === label ? 1 : 0;
      for (const { b, width, outputs } of layers.filter((layer) => layer.width))
        for (let o = width; o < outputs; o += width + net.classes)
          for (let c = 0; c < net.classes; c++) heap[b / 4 + o + c] = c === label ? 1 : 0;
    };

    // latent → Float32Array (size * size * channels), channels last, in [-1, 1]; of the class `net.label` unless given
    return (latent, label = net.label || 0) => {
      heap.set(latent, input / 4);
      setLabel(label);
      let x = input, before = null;
      for (const layer of layers) {
        if (layer.kernel === undefined) {
          const y = layer.flat ?? layer.y;
          dense(x, layer.w, layer.b, y, layer.inputs, layer.wide);
          if (layer.flat !== undefined) {  // into rows with borders
            const width = layer.side * layer.depth;
            for (let r = 0; r < layer.side; r++)
              heap.copyWithin(layer.y / 4 + r * layer.row, y / 4 + r * width, y / 4 + (r + 1) * width);
          }
        } else {
          up(x, layer.w, layer.b, layer.y, layer.size, before.row, layer.inputs, layer.out, layer.row, layer.wide,
             layer.kernel, layer.stride, layer.pad, layer === final ? 0 : 1);
        }
        x = layer.y;
        before = layer;
      }
      const { size, channels } = net, image = new Float32Array(size * size * channels);
      for (let p = 0, t = 0; p < size * size; p++)
        for (let c = 0; c < channels; c++, t++) image[t] = Math.tanh(heap[final.y / 4 + p * final.wide + c]);
      return image;
    };
  }

  // ---- latents -------------------------------------------------------------------------------------------------

  // A number makes a face: the same one in every browser (mulberry32, then Box and Muller where the prior is normal).
  function latentOf(net, number) {
    let a = number >>> 0;
    const uniform = () => {
      a = (a + 0x6d2b79f5) | 0;
      let t = Math.imul(a ^ (a >>> 15), 1 | a);
      t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
      return ((t ^ (t >>> 14)) >>> 0) / 4294967296;
    };
    const normal = () => Math.sqrt(-2 * Math.log(1 - uniform())) * Math.cos(2 * Math.PI * uniform());
    return Float32Array.from({ length: net.latentDim }, net.prior === "normal" ? normal : () => 2 * uniform() - 1);
  }

  // How far from 0 a latent lies, beside where nearly all samples lie: |z| of a normal prior is close to √n, with a
  // deviation of about 0.7; a uniform one has no coordinate beyond 1. An empty text, or a warning.
  function leaves(net, z) {
    if (net.prior !== "normal") {
      const beyond = z.filter((v) => Math.abs(v) > 1).length;
      return beyond ? `${beyond} of ${z.length} numbers lie beyond 1: outside of what the generator has learnt` : "";
    }
    const length = Math.hypot(...z), low = Math.sqrt(z.length) - 2.5, high = Math.sqrt(z.length) + 2.5;
    return length >= low && length <= high ? "" : `length ${length.toFixed(1)}; samples have ${Math.max(0, low).toFixed(1)} ` +
      `to ${high.toFixed(1)}: outside of what the generator has learnt`;
  }

  const mix = (a, b, t) => a.map((v, i) => v + t * (b[i] - v));

  // From a (t = 0) to b (t = 1): on the line for a uniform prior; for a normal one at a constant angle, with a length that
  // goes evenly, as latent.interpolate(kind="spherical") does.
  function walk(net, a, b, t) {
    if (net.prior !== "normal") return mix(a, b, t);
    const dot = (u, v) => u.reduce((s, x, i) => s + x * v[i], 0), la = Math.sqrt(dot(a, a)), lb = Math.sqrt(dot(b, b));
    const angle = Math.acos(Math.max(-1, Math.min(1, dot(a, b) / (la * lb))));
    if (angle < 1e-4 || Math.PI - angle < 1e-4) return mix(a, b, t);
    const length = (1 - t) * la + t * lb, p = Math.sin((1 - t) * angle) / la, q = Math.sin(t * angle) / lb;
    return a.map((v, i) => (length * (p * v + q * b[i])) / Math.sin(angle));
  }

  // ---- the page ------------------------------------------------------------------------------------------------

  function make(tag, attributes = {}, ...children) {
    const node = document.createElement(tag);
    for (const [key, value] of Object.entries(attributes)) {
      if (key.startsWith("on")) node.addEventListener(key.slice(2), value);
      else if (value !== undefined) node.setAttribute(key, value);
    }
    node.append(...children);
    return node;
  }

  function paint(canvas, net, image) {
    canvas.width = canvas.height = net.size;
    const context = canvas.getContext("2d"), pixels = context.createImageData(net.size, net.size);
    for (let p = 0; p < net.size * net.size; p++) {
      for (let c = 0; c < 3; c++)
        pixels.data[4 * p + c] = Math.round((image[p * net.channels + Math.min(c, net.channels - 1)] + 1) * 127.5);
      pixels.data[4 * p + 3] = 255;
    }
    context.putImageData(pixels, 0, 0);
  }

  const picture = (label, big) => make("canvas", { role: "img", "aria-label": label, class: big ? "lab-big" : "lab-small" });
  const button = (text, onclick, label) => make("button", { type: "button", onclick, "aria-label": label }, text);
  const LAST = 999999;  // number of a picture
  const anyNumber = () => Math.floor(Math.random() * (LAST + 1));

  // What a part says, beside its controls.
  function teller() {
    const node = make("p", { class: "lab-status", role: "status", "aria-live": "polite" });
    return { node, say: (text) => { node.textContent = text; } };
  }

  function slider(name, min, max, step, oninput) {
    const output = make("output", {}, "0");
    const input = make("input", { type: "range", min, max, step, value: 0, "aria-label": name });
    input.addEventListener("input", () => { output.textContent = Number(input.value).toFixed(1); oninput(); });
    return { row: make("label", { class: "lab-slider" }, make("span", {}, name), input, output), input, output };
  }

  function explorer(net, draw) {
    const canvas = picture("generated picture", true), { node: status, say } = teller();
    const warning = make("p", { class: "lab-warning", role: "status", "aria-live": "polite" });
    const number = make("input", { type: "number", min: 0, max: LAST, step: 1, value: net.first, "aria-label": "No. of the picture" });
    let last = number.value;  // the last one that was a number
    const sliders = net.directions.map((d) => slider(d.name, -4, 4, 0.1, () => show()));
    const latent = () => {
      const z = latentOf(net, Number(number.value));
      sliders.forEach(({ input }, i) => {
        const by = Number(input.value);
        if (by) net.directions[i].vector.forEach((v, j) => { z[j] += by * v; });
      });
      return z;
    };
    const name = () => {
      const moved = sliders.map(({ input }, i) => [net.directions[i].name, input.value]).filter(([, v]) => Number(v));
      return `number ${number.value}` + moved.map(([n, v]) => `, ${n} ${v}`).join("");
    };
    const show = () => {
      const z = latent();
      paint(canvas, net, draw(z));
      canvas.setAttribute("aria-label", `picture ${name()}`);
      const told = leaves(net, z);
      if (warning.textContent !== told) warning.textContent = told;
    };
    const reset = () => {
      for (const { input, output } of sliders) { input.value = 0; output.textContent = "0"; }
      show();
    };
    number.addEventListener("change", () => {
      if (number.value === "" || !number.checkValidity()) {
        say(`a picture's number is a whole number from 0 to ${LAST}: still number ${last}`);
        number.value = last;
        return;
      }
      number.value = last = String(Number(number.value));  // 1e3 is 1000
      say("");
      show();
    });
    const save = () => {
      const link = make("a", { href: canvas.toDataURL("image/png"), download: `dcgan-${number.value}.png` });
      link.click();
      say("picture saved");
    };
    const node = make("section", { class: "lab-part", "aria-label": "Sliders" },
      make("div", { class: "lab-result" }, canvas),
      make("div", { class: "lab-controls" }, ...sliders.map((s) => s.row),
        make("div", { class: "lab-buttons" },
          button("Another one", () => { number.value = last = anyNumber(); show(); say(`picture number ${number.value}`); }),
          ...(sliders.length ? [button("Reset the sliders", () => { reset(); say("sliders reset"); })] : []),
          button("Save the picture", save),
          make("label", {}, "No. ", number)), warning, status));
    show();
    return { node, latent, redraw: show, name };
  }

  function walker(net, draw, explored) {
    const { node: status, say } = teller();
    const ends = [12, 41].map((n) => ({ latent: latentOf(net, n), canvas: picture(`end of the walk, number ${n}`) }));
    const canvas = picture("picture on the walk", true);
    const position = make("input", { type: "range", min: 0, max: 100, step: 1, value: 50, "aria-label": "A to B, position on the walk" });
    const show = () => {
      const t = Number(position.value) / 100;
      paint(canvas, net, draw(walk(net, ends[0].latent, ends[1].latent, t)));
      canvas.setAttribute("aria-label", `${position.value} percent of the way from A to B`);
    };
    const showEnd = (end) => { paint(end.canvas, net, draw(end.latent)); show(); };
    const take = (end, latent, name) => {
      end.latent = latent;
      end.canvas.setAttribute("aria-label", `end of the walk, ${name}`);
      showEnd(end);
    };
    let timer = null;
    const play = button("Play", () => {
      if (timer) { clearInterval(timer); timer = null; play.textContent = "Play"; return; }
      play.textContent = "Stop";
      let step = Number(position.value) >= 100 ? -1 : 1;
      timer = setInterval(() => {
        const next = Number(position.value) + step;
        if (next >= 100 || next <= 0) step = -step;
        position.value = next;
        show();
      }, 50);
    });
    position.addEventListener("input", show);
    const above = net.directions.length ? "From the sliders" : "From the picture above";
    const end = (i, letter) => make("div", { class: "lab-end" }, make("strong", {}, letter), ends[i].canvas,
      button("Another", () => {
        const n = anyNumber();
        take(ends[i], latentOf(net, n), `number ${n}`);
        say(`${letter} is number ${n}`);
      }, `Another for ${letter}`),
      button(above, () => { take(ends[i], explored.latent(), explored.name()); say(`${letter} taken`); },
        `${above}, as ${letter}`));
    const node = make("section", { class: "lab-part", "aria-label": "Walk between two pictures" },
      make("div", { class: "lab-result" }, canvas),
      make("div", { class: "lab-controls" }, make("div", { class: "lab-ends" }, end(0, "A"), end(1, "B")),
        make("label", { class: "lab-slider" }, make("span", {}, "A to B"), position), make("div", { class: "lab-buttons" }, play), status));
    const redraw = () => ends.forEach(showEnd);
    redraw();
    const stop = () => { if (timer) play.click(); };
    return { node, redraw, stop };
  }

  function arithmetic(net, draw) {
    const { node: status, say } = teller();
    const slots = ["A", "B", "C"].map((letter) => ({ letter, latent: null, canvas: picture(letter) }));
    const canvas = picture("A minus B plus C", true);
    let current = 0;
    const show = () => {
      const [a, b, c] = slots.map((s) => s.latent);
      paint(canvas, net, draw(a.map((v, i) => v - b[i] + c[i])));
      slots.forEach((slot, i) => slot.button.setAttribute("aria-pressed", i === current));
    };
    const fill = (i, latent, name) => {
      slots[i].latent = Float32Array.from(latent);
      slots[i].name.textContent = name;
      slots[i].button.setAttribute("aria-label", `fill ${slots[i].letter}, now ${name}`);
      paint(slots[i].canvas, net, draw(slots[i].latent));
    };
    for (const [i, slot] of slots.entries()) {
      slot.name = make("small", {});
      slot.button = make("button", { type: "button", class: "lab-slot", "aria-label": `fill ${slot.letter}`,
        onclick: () => { current = i; show(); say(`the next picture goes to ${slot.letter}`); } }, slot.canvas, slot.name);
    }
    const gallery = make("div", { class: "lab-gallery", role: "group", "aria-label": "pictures to choose from" });
    let first = 100;
    const stock = () => {
      gallery.replaceChildren(...Array.from({ length: 12 }, (_, k) => {
        const n = first + k, latent = latentOf(net, n), thumb = picture(`number ${n}`);
        paint(thumb, net, draw(latent));
        return make("button", { type: "button", class: "lab-thumb", "aria-label": `number ${n}`, onclick: () => {
          fill(current, latent, `No. ${n}`);
          say(`number ${n} is ${slots[current].letter}`);
          current = (current + 1) % 3;
          show();
        } }, thumb);
      }));
    };
    const presets = net.presets.map((preset) => button(preset.name, () => {
      const terms = [preset.plus[0], preset.minus[0], preset.plus[1]];
      terms.forEach((term, i) => fill(i, term.latent, term.name));
      show();
      say([preset.name, preset.note].filter(Boolean).join(": "));
    }));
    const node = make("section", { class: "lab-part", "aria-label": "Arithmetic" },
      make("div", { class: "lab-result" }, canvas),
      make("div", { class: "lab-controls" },
        make("div", { class: "lab-sum" }, slots[0].button, "−", slots[1].button, "+", slots[2].button),
        make("p", {}, "Choose A, B or C, then a picture below."), gallery,
        make("div", { class: "lab-buttons" }, ...presets,
          button("Other pictures", () => { first = anyNumber(); stock(); say("other pictures"); })), status));
    slots.forEach((_, i) => fill(i, latentOf(net, 100 + i), `No. ${100 + i}`));
    if (net.presets.length) presets[0].click();
    stock();
    show();
    const redraw = () => { slots.forEach((slot) => paint(slot.canvas, net, draw(slot.latent))); stock(); show(); };
    return { node, redraw };
  }

  // One menu for all pictures of the page.
  function classMenu(net, say, parts) {
    const named = (c) => net.classNames[c] || String(c);
    const options = Array.from({ length: net.classes }, (_, c) => make("option", { value: c }, named(c)));
    const menu = make("select", { "aria-label": "class", onchange: () => {
      net.label = Number(menu.value);
      parts.forEach((part) => part.redraw());
      say(`class ${named(net.label)}`);
    } }, ...options);
    menu.value = net.label || 0;  // also where the reader comes back to this generator
    return [make("label", {}, "class ", menu)];
  }

  // ---- several generators ----------------------------------------------------------------------------------------

  const HERE = document.currentScript.src;  // the other generators' files lie beside this one
  const NEEDS = "Chrome 91, Firefox 113, Safari 16.4 or newer (WebAssembly SIMD and DecompressionStream)";

  // Every weights file is a classic script that sets window.DCGAN_NET: a script element loads it from file:// too.
  // One that came in part does not run, and sets nothing.
  const fetched = (file) => new Promise((resolve, reject) => {
    delete window.DCGAN_NET;
    const failed = () => reject(new Error(`the file ${file} is missing, or did not arrive whole: try again`));
    const done = () => (window.DCGAN_NET ? resolve(window.DCGAN_NET) : failed());
    document.head.append(make("script", { src: new URL(file, HERE), onload: done, onerror: failed }));
  });

  async function mount(root, first) {
    root.replaceChildren(make("p", {}, "Unpacking the generator …"));
    const nets = [{ name: first.name, file: "weights.js", net: first }, ...(first.also || [])];  // no net: not yet loaded
    const body = make("div"), { node: status, say } = teller();
    let shown = null;
    const show = async (i) => {
      const entry = nets[i], net = entry.net ?? await fetched(entry.file);
      try {
        const draw = entry.draw ?? await load(net), walk = build(body, net, draw);
        Object.assign(entry, { net, draw });  // not before: what is damaged is fetched anew when it is chosen again
        if (shown) shown.stop();
        shown = walk;
      } catch (error) {
        throw new Error(`the file ${entry.file} could not be read (${error.message})`);
      }
      window.DCGAN_LAB = { draw: entry.draw, latentOf: (n) => latentOf(entry.net, n), net: entry.net };  // for tests and the curious
    };
    try {
      await show(0);
    } catch (error) {
      root.replaceChildren(make("p", {}, `The lab did not start. It needs ${NEEDS}. The browser says: ${error}`));
      throw error;
    }
    root.replaceChildren(...(nets.length > 1 ? [generatorMenu(nets, show, say), status] : []), body);
    root.dataset.ready = "yes";
  }

  // The menu is shut while a file loads; what cannot be loaded leaves the page as it is.
  function generatorMenu(nets, show, say) {
    const size = ({ bytes }) => (bytes ? ` (${(bytes / 1e6).toFixed(1)} MB more)` : "");
    const told = ({ net }) => `${net.size}×${net.size} pixels, ${net.parameters.toLocaleString("en")} parameters`;
    let current = 0;
    const menu = make("select", { "aria-label": "generator", onchange: async () => {
      const i = Number(menu.value);
      menu.disabled = true;
      say(`loading ${nets[i].name} …`);
      try {
        await show(i);
        current = i;
        menu.options[i].textContent = nets[i].name;
        say(told(nets[i]));
      } catch (error) {
        menu.value = current;
        say(`${nets[i].name} could not be loaded: ${error.message}`);
      }
      menu.disabled = false;
      menu.focus();
    } }, ...nets.map((entry, i) => make("option", { value: i }, entry.name + size(entry))));
    say(told(nets[0]));
    return make("label", { class: "lab-choice" }, "generator ", menu);
  }

  function build(body, net, draw) {
    const { node: status, say } = teller();
    const explored = explorer(net, draw), walk = walker(net, draw, explored), sum = arithmetic(net, draw);
    body.replaceChildren(
      ...(net.classes ? [...classMenu(net, say, [explored, walk, sum]), status] : []),
      make("h2", {}, net.directions.length ? "Sliders" : "Pictures"), explored.node,
      make("h2", {}, "A walk between two"), walk.node,
      make("h2", {}, "A − B + C"), sum.node);
    return walk;
  }

  const start = () => {
    const root = document.getElementById("dcgan-lab");
    if (!root) return;
    if (!window.DCGAN_NET) root.textContent = "The generator's file weights.js is missing, or did not arrive whole: reload the page.";
    else mount(root, window.DCGAN_NET);
  };
  if (document.readyState === "loading") document.addEventListener("DOMContentLoaded", start);
  else start();
})();

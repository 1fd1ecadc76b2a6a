// The generator's two kinds of layer for a browser, in SIMD WebAssembly. Pictures are channels-last float32. Compile with `make kernel`.
#include <wasm_simd128.h>
typedef v128_t f4;

// y[n_out] = max(0, b + x w): x[n_in], w[n_in][n_out]; n_out is a multiple of 4.
void dense(const float *x, const float *w, const float *b, float *y, int n_in, int n_out) {
  for (int o = 0; o < n_out; o += 4) {
    f4 sum = wasm_v128_load(b + o);
    for (int i = 0; i < n_in; i++)
      sum = wasm_f32x4_add(sum, wasm_f32x4_mul(wasm_v128_load32_splat(x + i), wasm_v128_load(w + i * n_out + o)));
    wasm_v128_store(y + o, wasm_f32x4_max(sum, wasm_f32x4_const_splat(0)));
  }
}

// Four output pixels, `stride` apart in a row, times 4 * V output channels, all kernel taps that meet them.
#define BLOCK(V)                                                                                              \
  for (int j = 0; j < n; j += 4) {                                                                            \
    f4 sum[4][V];                                                                                             \
    for (int p = 0; p < 4; p++) for (int v = 0; v < V; v++) sum[p][v] = wasm_v128_load(b + o + 4 * v);        \
    for (int ky = 0; ky < k; ky++) {                                                                          \
      int row = (oy + pad - ky) / stride;                                                                     \
      if ((oy + pad - ky) % stride || row < 0 || row >= size) continue;                                       \
      for (int kx = 0; kx < k; kx++) {                                                                        \
        if ((phase + pad - kx) % stride) continue;                                                            \
        const float *at = x + row * x_row + ((phase + pad - kx) / stride + j) * c_in, *q[4];                  \
        for (int p = 0; p < 4; p++) q[p] = at + (j + p < n ? p : n - 1 - j) * c_in;                           \
        const float *u = w + ((ky * k + kx) * c_out + o) * c_in;                                              \
        for (int i = 0; i < c_in; i++, u += 4 * V)                                                            \
          for (int p = 0; p < 4; p++)                                                                         \
            for (int v = 0; v < V; v++)                                                                       \
              sum[p][v] = wasm_f32x4_add(                                                                     \
                  sum[p][v], wasm_f32x4_mul(wasm_v128_load32_splat(q[p] + i), wasm_v128_load(u + 4 * v)));    \
      }                                                                                                       \
    }                                                                                                         \
    for (int p = 0; p < 4 && j + p < n; p++)                                                                  \
      for (int v = 0; v < V; v++)                                                                             \
        wasm_v128_store(y + oy * y_row + (phase + stride * (j + p)) * c_out + o + 4 * v,                      \
                        relu ? wasm_f32x4_max(sum[p][v], wasm_f32x4_const_splat(0)) : sum[p][v]);             \
  }

// A transposed convolution. x[size][size][c_in] in rows of x_row floats, zeros left and right of each row;
// y[out][out][c_out] in rows of y_row. c_out is a multiple of 4; the weights lie as [k * k][c_out / 8][c_in][8], with a
// last part of 4 where c_out is no multiple of 8.
void up(const float *x, const float *w, const float *b, float *y, int size, int x_row, int c_in, int out, int y_row,
        int c_out, int k, int stride, int pad, int relu) {
  for (int o = 0; o < c_out; o += 8)  // outermost, so that a block's weights stay in the cache for the whole picture
    for (int oy = 0; oy < out; oy++)
      for (int phase = 0; phase < stride; phase++) {  // pixels of one phase meet the same taps
        int n = (out - phase + stride - 1) / stride;
        if (c_out - o >= 8) { BLOCK(2) } else { BLOCK(1) }
      }
}

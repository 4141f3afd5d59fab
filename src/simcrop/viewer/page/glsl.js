// What the graphics card computes for each point of a slice and each ray of the 3D picture.
//
// Maps stay on their own small grids; a map's threshold, colours and eye are numbers that a drawing hands
// over, so that a moved slider costs one drawing and nothing else. Texture coordinates `(x, y, z)` run over
// the scan from 0 to 1.

export const LAYERS = 6;
const each = (line) => Array.from({ length: LAYERS }, (_, n) => line.replaceAll("#", String(n))).join("\n");

const HEAD = `#version 300 es
precision highp int;
precision highp float;
uniform highp sampler3D volume;
${each("uniform highp sampler3D heat#;")}
uniform mat4 place[${LAYERS}];  // a point of the scan to a point of the map
uniform vec4 level[${LAYERS}];  // threshold and ends of the colour scale in [0, 1] of the map; shown (0, 1)
uniform vec4 tint[${LAYERS}];   // colour
uniform vec4 manner;            // opacity, fill (0 or 1), width of the line in pixels, all shown (0 or 1)
bool outside(vec3 p) { return any(lessThan(p, vec3(0.0))) || any(greaterThan(p, vec3(1.0))); }
vec3 shade(vec3 tint, float high) { return mix(tint * 0.55, mix(tint, vec3(1.0), 0.25), high); }
// Between the centres of patches a value runs half as a line, half as a smooth step: rounder, each kept.
float heat_at(in highp sampler3D map, vec3 p) {
  vec3 size = vec3(textureSize(map, 0));
  vec3 cell = p * size - 0.5;
  vec3 part = fract(cell);
  vec3 eased = mix(part, part * part * (3.0 - 2.0 * part), 0.5);
  return texture(map, (floor(cell) + eased + 0.5) / size).r;
}
float risen(float value, vec4 level) {
  return clamp((value - level.y) / max(level.z - level.y, 1e-4), 0.0, 1.0);
}
`;

export const SLICE = `${HEAD}
uniform highp sampler3D truth;
uniform highp sampler2D truthTint;
uniform mat4 truthPlace;
uniform float truthShown;
uniform float opacity;
in vec3 texPos;
out vec4 color;
vec3 acrossX, acrossY; // one pixel of the screen, in the scan

// How far a point is from the line at the threshold, px; far where no point beside it lies on the other side.
float away_from_line(in highp sampler3D map, mat4 place, float value, vec3 p, float threshold) {
  vec3 dx = (place * vec4(acrossX * 2.0, 0.0)).xyz, dy = (place * vec4(acrossY * 2.0, 0.0)).xyz;
  float right = heat_at(map, p + dx), left = heat_at(map, p - dx);
  float up = heat_at(map, p + dy), down = heat_at(map, p - dy);
  float most = max(max(max(right, left), max(up, down)), value);
  float least = min(min(min(right, left), min(up, down)), value);
  if (most < threshold || least >= threshold) return 1e3;
  return abs(value - threshold) / max(length(vec2(right - left, up - down)) / 4.0, 1e-6);
}

vec3 over(vec3 base, in highp sampler3D map, mat4 place, vec4 level, vec3 tint) {
  vec3 p = (place * vec4(texPos, 1.0)).xyz;
  if (outside(p)) return base;
  float value = heat_at(map, p);
  if (manner.y > 0.5) {
    float below = clamp(1.0 - (level.x - value) / max(0.4 * (level.x - level.y), 1e-4), 0.0, 1.0);
    float alpha = value >= level.x ? manner.x : manner.x * 0.4 * below * below;
    base = mix(base, shade(tint, risen(value, level)), alpha);
  }
  float away = away_from_line(map, place, value, p, level.x);
  vec3 pixel = abs((place * vec4(acrossX, 0.0)).xyz) + abs((place * vec4(acrossY, 0.0)).xyz);
  vec3 rim = min(p, 1.0 - p) / max(pixel, vec3(1e-6));
  if (value >= level.x) away = min(away, min(rim.x, min(rim.y, rim.z))); // the map ends here: the line closes
  base = mix(base, vec3(0.0), 0.55 * (1.0 - smoothstep(manner.z, manner.z + 1.5, away)));
  return mix(base, tint, 1.0 - smoothstep(manner.z * 0.5 - 0.3, manner.z * 0.5 + 0.7, away));
}

float class_at(vec3 p) { return outside(p) ? 0.0 : texture(truth, p).r; }
vec4 tint_of(float label) { return texture(truthTint, vec2((label * 255.0 + 0.5) / 256.0, 0.5)); }

vec3 marked(vec3 base) {
  vec3 dx = acrossX * 1.3, dy = acrossY * 1.3;
  if (truthShown < 0.5) return base;
  float here = class_at((truthPlace * vec4(texPos, 1.0)).xyz);
  vec4 line = vec4(0.0);
  for (int n = 0; n < 4; n++) {
    vec3 step = n == 0 ? dx : n == 1 ? -dx : n == 2 ? dy : -dy;
    float there = class_at((truthPlace * vec4(texPos + step, 1.0)).xyz);
    if (there != here) line = max(line, tint_of(max(here, there)));
  }
  vec4 fill = tint_of(here);
  base = mix(base, fill.rgb, here > 0.0 ? 0.18 * fill.a : 0.0);
  return mix(base, line.rgb, line.a);
}

void main() {
  acrossX = dFdx(texPos);
  acrossY = dFdy(texPos);
  vec3 base = texture(volume, texPos).rgb;
${each(`  if (level[#].w * manner.w > 0.5) base = over(base, heat#, place[#], level[#], tint[#].rgb);`)}
  color = vec4(marked(base), opacity);
}`;

export const RENDER_CORNERS = `#version 300 es
layout(location=0) in vec3 pos;
layout(location=1) in vec3 texCoords;
uniform mat4 mvpMtx;
out vec3 vColor;
void main() {
  gl_Position = mvpMtx * vec4(pos, 1.0);
  vColor = texCoords;
}`;

// The body as thin glass, so that what lies in it is seen: brightness adds up along the ray, a region
// stands in it.
export const RENDER = `${HEAD}
uniform vec3 rayDir;
uniform vec3 texVox;
uniform vec3 volScale;
uniform float backOpacity;
uniform float coarse;  // voxels a step
in vec3 vColor;
out vec4 fColor;

void region(inout vec4 seen, float value, vec3 p, vec4 level, vec3 tint) {
  if (value < level.x || level.w * manner.w < 0.5 || outside(p)) return;
  float alpha = (0.05 + 0.12 * risen(value, level)) * coarse;
  seen += (1.0 - seen.a) * vec4(shade(tint, risen(value, level)) * alpha, alpha);
}

void main() {
  gl_FragDepth = 1.0;
  vec3 dir = rayDir / volScale;
  vec3 ends = max((vec3(0.0) - vColor) / dir, (vec3(1.0) - vColor) / dir);
  vec3 way = dir * min(ends.x, min(ends.y, ends.z));
  float steps = clamp(length(way * texVox) / coarse, 1.0, 260.0);
  vec3 stride = way / steps;
  vec3 at = vColor + stride * fract(sin(gl_FragCoord.x * 12.9898 + gl_FragCoord.y * 78.233) * 43758.5453);
  float thin = 4.6 / length(texVox / coarse);
  vec4 seen = vec4(0.0);
  for (float n = 0.0; n < steps && seen.a < 0.97; n += 1.0, at += stride) {
    float bright = texture(volume, at).r;
    float alpha = thin * bright * bright;
    seen += (1.0 - seen.a) * vec4(vec3(bright) * alpha, alpha);
    if (manner.w > 0.5) {
      vec3 p;
${each(`
      if (level[#].w > 0.5) {
        p = (place[#] * vec4(at, 1.0)).xyz;
        region(seen, heat_at(heat#, p), p, level[#], tint[#].rgb);
      }`)}
    }
  }
  fColor = vec4(seen.rgb, 1.0) * backOpacity;
}`;

// Builds the panel's one script and one style sheet, and puts uPlot's licence beside them:
//     npm ci && npm run build
import { copyFile, readFile } from "node:fs/promises";
import { build } from "esbuild";

const out = process.argv[2] ?? "../mltemporal/notebook/assets";
const licence = await readFile("node_modules/uplot/LICENSE", "utf8");

await build({
  entryPoints: ["src/panel.js", "src/panel.css"],
  outdir: out,
  bundle: true,
  format: "esm",
  minify: true,
  target: "es2020",
  legalComments: "none",
  banner: {
    js: `/* Built from frontend/; edit there. Contains uPlot (LICENSE.uPlot.txt):\n${licence.trim()}\n*/`,
    css: "/* Built from frontend/; edit there. Contains uPlot's style sheet (LICENSE.uPlot.txt). */",
  },
});
await copyFile("node_modules/uplot/LICENSE", `${out}/LICENSE.uPlot.txt`);

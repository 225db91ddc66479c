import { defineConfig } from "vitest/config";

// Two projects: `unit` needs no root and runs in parallel; `lab` makes network namespaces and runs one file at a time.
export default defineConfig({
  test: {
    projects: [
      {
        test: {
          name: "unit",
          include: ["test/{unit,model,property,contract,scripts,fuzz,sim}/**/*.test.ts", "plugins/*/test/*.test.ts"],
          globalSetup: ["test/global-setup.ts"],
          testTimeout: 60_000,
        },
      },
      {
        test: {
          name: "lab",
          include: ["test/lab/**/*.test.ts"],
          fileParallelism: false,
          testTimeout: 180_000,
          hookTimeout: 120_000,
        },
      },
    ],
  },
});

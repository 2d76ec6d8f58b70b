/**
 * Tests whose subject exists in one version of Effect only, by file or folder, with the reason. The build leaves those of Effect 3 out, and
 * `sameTests.mjs` fails for every other test that is run in one version only.
 */
export const onlyInEffect3 = {
  "test/cli/": "the command line is one bundle in both packages",
  "test/deploy.test.ts": "starts the command line",
  "test/redis/serve.test.ts": "starts the command line",
  "test/call/FiberRefs.test.ts": "Effect 4 has no FiberRefs",
  "test/provider/CustomProviderDocs.test.ts": "the documentation prints examples for Effect 3",
  "test/vocabulary/arbitraries.test.ts":
    "generators of fast-check for the schemas of the vocabulary: Effect 4 has its own"
}

export const onlyInEffect4 = {
  "test/programs/nativeSchemas.test.ts": "schemas that are written for Effect 4, beside those of both versions",
  "test/ai/effect4.test.ts": "what the AI modules of Effect 4 have and those of @effect/ai have not"
}

/** Whether a file is in one of these lists. */
export const isListed = (list, file) =>
  Object.keys(list).some((path) => (path.endsWith("/") ? file.startsWith(path) : file === path))

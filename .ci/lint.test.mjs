// The rules of lint that keep the sources ready for Effect 4, over small sources: node --test .ci/lint.test.mjs
import assert from "node:assert/strict"
import { spawnSync } from "node:child_process"
import { copyFileSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import { dirname, join, resolve } from "node:path"
import { after, test } from "node:test"
import { fileURLToPath } from "node:url"

const root = resolve(fileURLToPath(new URL(".", import.meta.url)), "..")
const folder = mkdtempSync(join(tmpdir(), "lint-"))
copyFileSync(join(root, ".oxlintrc.json"), join(folder, ".oxlintrc.json"))
after(() => rmSync(folder, { recursive: true }))

const restrictions = /no-restricted-(imports|properties)/

/** The number of restricted imports and properties in a source. */
const restricted = (path, text) => {
  const file = join(folder, path)
  mkdirSync(dirname(file), { recursive: true })
  writeFileSync(file, text)
  const { stdout } = spawnSync(join(root, "node_modules/.bin/oxlint"), ["--format=json", path], {
    cwd: folder,
    encoding: "utf8"
  })
  rmSync(file)
  return JSON.parse(stdout).diagnostics.filter(({ code }) => restrictions.test(code)).length
}

const using = (module, expression) => `import { ${module} } from "effect"\nexport const a = ${expression}\n`

/** The expressions of a module of Effect that only the given files may have. */
const places = [
  ["Stream", "Stream.toPull", "src/internal/pull.ts"],
  ["Stream", "Stream.fromPull", "src/internal/pull.ts"],
  ["Channel", "Channel.succeed", "src/internal/pull.ts"],
  ["Fiber", "Fiber.interrupt", "src/internal/fibers.ts"],
  ["Fiber", "Fiber.join", "src/internal/fibers.ts"],
  ["Effect", "Effect.disconnect", "src/internal/timeLimit.ts"],
  ["Effect", "Effect.timeoutFail", "src/internal/timeLimit.ts"],
  ["MetricKey", "MetricKey.counter", "src/telemetry/metricKeys.ts"],
  ["Metric", "Metric.snapshot", "src/telemetry/series.ts"],
  ["ParseResult", "ParseResult.validateEither", "src/internal/faults.ts"],
  ["JSONSchema", "JSONSchema.make", "src/programs/tools/schemaDocument.ts"],
  ["Schema", "Schema.Exit", "src/programs/batch/exitCodec.ts"],
  ["ConfigError", "ConfigError.MissingData", "src/provider/configErrors.ts"],
  ["DefaultServices", "DefaultServices.liveServices", "src/internal/clock.ts"]
]

test("what Effect 4 has in another form stands in one module", () => {
  for (const [module, expression, path] of places) {
    assert.equal(restricted("src/call/plan.ts", using(module, expression)), 1, `${expression} in another module`)
    assert.equal(restricted(path, using(module, expression)), 0, `${expression} in ${path}`)
  }
})

test("mailboxes are imported in one module", () => {
  const text = using("Mailbox", "Mailbox.make")
  for (const path of ["src/programs/eventsOf.ts", "src/telemetry/hooks.ts", "src/LLM.ts"])
    assert.equal(restricted(path, text), 1, path)
  assert.equal(restricted("src/internal/mailbox.ts", text), 0)
})

test("observers of fibers and interruption from plain code stand in one module", () => {
  const text = (member) => `export const a = (fiber) => fiber.${member}(() => {})\n`
  for (const member of ["addObserver", "removeObserver", "unsafeInterruptAsFork", "unsafePoll"]) {
    assert.equal(restricted("src/gateway/http/hotApp.ts", text(member)), 1, member)
    assert.equal(restricted("src/internal/fibers.ts", text(member)), 0, member)
  }
})

test("a cause is not read as a tree, and its extractors are allowed", () => {
  for (const name of ["match", "reduce", "find", "linearize", "isFailType"])
    assert.equal(restricted("src/call/plan.ts", using("Cause", `Cause.${name}`)), 1, name)
  assert.equal(
    restricted("src/call/plan.ts", 'import { Cause as Causes } from "effect"\nexport const a = Causes.match'),
    1
  )
  for (const name of ["failureOption", "dieOption", "isInterruptedOnly"])
    assert.equal(restricted("src/call/plan.ts", using("Cause", `Cause.${name}`)), 0, name)
})

test("ordered maps and persistent lists of Effect are not imported in any domain", () => {
  const files = [
    "internal/a",
    "vocabulary/a",
    "wire/a",
    "keyPool/key",
    "call/plan",
    "telemetry/a",
    "redis/a",
    "gateway/a",
    "LLM"
  ]
  for (const file of files)
    for (const name of ["SortedMap", "List", "RedBlackTree"])
      assert.equal(restricted(`src/${file}.ts`, using(name, `${name}.empty()`)), 1, `${name} in ${file}`)
})

test("modules of @effect/platform-node are imported by their paths", () => {
  for (const path of ["src/node/client.ts", "src/gateway/GatewayServer.ts", "src/cli/main.ts", "test/a.test.ts"]) {
    const text = (from, names) => `import ${names} from "${from}"\nexport const a = NodeHttpClient.layer\n`
    assert.equal(restricted(path, text("@effect/platform-node", "{ NodeHttpClient }")), 1, path)
    assert.equal(restricted(path, text("@effect/platform-node/NodeHttpClient", "* as NodeHttpClient")), 0, path)
  }
})

test("tests take generators from fast-check", () => {
  assert.equal(restricted("test/a.test.ts", using("FastCheck", "FastCheck.integer()")), 1)
  assert.equal(
    restricted("test/a.test.ts", 'import * as FastCheck from "fast-check"\nexport const a = FastCheck.integer()\n'),
    0
  )
})

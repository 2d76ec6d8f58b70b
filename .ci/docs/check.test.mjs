// Tests of the checks: `node --test .ci/docs/check.test.mjs`.
import { deepEqual, equal, match } from "node:assert/strict"
import { test } from "node:test"
import { scriptOf, withPorts } from "./commands.mjs"
import { installedBy } from "./installs.mjs"
import { docstrings, faultsOf } from "./prose.mjs"

const plain = [
  "The reasoning of a model, see [costs](costs.md). A key in cooldown is not called.",
  "The text is not valid JSON, although `no JSON` and `thinking` are names in code.",
  "A provider without JSON Schema output gets a tool instead.",
  "Which client sent it? The client that has the key."
]

for (const text of plain) {
  test(`accepts: ${text}`, async () => deepEqual(await faultsOf("page.md", text), []))
}

const faulty = [
  "The thoughts of the model.",
  "Images and sounds.",
  "The token of the administration.",
  "The key is cooling down.",
  "The body is packed with gzip.",
  "A body that is no JSON.",
  "How long those in flight will be nobody knows.",
  "A failure is shared, but for one of time: who has more of it tries again.",
  "A call is told the wait, lest it hangs.",
  "It waits. Nor does it retry.",
  "It may not retry.",
  "The same 404 as a model that there is not."
]

for (const text of faulty) {
  test(`finds a fault in: ${text}`, async () => equal((await faultsOf("page.md", text)).length > 0, true))
}

test("counts the words of a sentence, in which code and a link are read as text", async () => {
  const words = (count) => Array.from({ length: count }, () => "word").join(" ")
  deepEqual(await faultsOf("page.md", `A ${words(38)} \`a b c d\`.`), [])
  deepEqual(await faultsOf("page.md", `(${words(30)} [link](page.md)). ${words(30)}.`), [])
  match((await faultsOf("page.md", `${words(41)}.`))[0]?.message ?? "", /41 words/)
})

test("reports a fault of a docstring at its line, and reads no code", async () => {
  const source =
    'import { a } from "nobody"\n\n/**\n * Calls nobody.\n *\n * @since 0.1.0\n */\nexport const nobody = a\n'
  deepEqual(
    (await faultsOf("src/a.ts", docstrings(source))).map(({ line }) => line),
    [4]
  )
})

test("starts a server in the background and leaves the lines of other commands where they are", () => {
  const script = scriptOf(
    "effect-llm serve \\\n  --port 9000 # the gateway\ncurl http://localhost:9000/health",
    "8080"
  ).split("\n")
  match(script[0], /^stop_server 9000; \{ effect-llm serve +--port 9000; \} .*& server_started \$! 9000$/)
  equal(script[1], "")
  equal(script[2], "curl http://localhost:9000/health")
})

test("leaves help and other commands of the command line in the foreground", () => {
  equal(scriptOf("effect-llm serve --help", "8080"), "effect-llm serve --help")
  equal(scriptOf("effect-llm simulate-load --rate 5/s", "8080"), "effect-llm simulate-load --rate 5/s")
})

test("replaces ports in addresses and options, and nothing else", () => {
  const ports = new Map([["8080", "40001"]])
  equal(withPorts("curl http://localhost:8080/v1 --max 8080", ports), "curl http://localhost:40001/v1 --max 8080")
  equal(withPorts("effect-llm serve --port 8080", ports), "effect-llm serve --port 40001")
})

test("reads the packages of an install line with their versions", () => {
  deepEqual(installedBy("npm install --save-dev effect@3 @effect/vitest@0 vitest # tools"), [
    { name: "effect", version: "3" },
    { name: "@effect/vitest", version: "0" },
    { name: "vitest", version: undefined }
  ])
  deepEqual(installedBy("npm run build"), [])
})

// Shows that a file and a Redis written by one build are read by the other, and that processes of both builds share one Redis at the
// same time. `node .ci/effect4/formats.mjs` after `npm run build:effect4`; it starts a redis-server of its own.
//
// What is compared: what each build finds in what either of them wrote, with what was written; and the files and the texts in Redis that
// both wrote of the same values. Needs redis-server.
import { spawn } from "node:child_process"
import { once } from "node:events"
import { mkdirSync, mkdtempSync, readFileSync, readdirSync, rmSync, statSync } from "node:fs"
import { createRequire } from "node:module"
import { tmpdir } from "node:os"
import { join, relative } from "node:path"
import { isDeepStrictEqual } from "node:util"
import { builds } from "./builds.mjs"

const { Redis } = createRequire(join(builds[0].cwd, "package.json"))("ioredis")

const startedAt = Date.now()
const folder = mkdtempSync(join(tmpdir(), "effect-llm-formats-"))
const children = new Set()
process.on("exit", () => {
  for (const child of children) child.kill("SIGKILL")
  rmSync(folder, { recursive: true, force: true })
})

/** What was compared and was not equal. */
const faults = []
let comparisons = 0

const short = (value) => {
  const text = typeof value === "string" ? value : JSON.stringify(value)
  return text === undefined ? "nothing" : text
}

/** Records whether two values are equal, and where they differ. */
const equal = (what, actual, expected) => {
  comparisons++
  if (isDeepStrictEqual(actual, expected)) return
  const [one, other] = [short(actual), short(expected)]
  let at = 0
  while (at < one.length && one[at] === other[at]) at++
  const excerpt = (text) => text.slice(Math.max(0, at - 100), at + 160)
  faults.push(`${what}\n    is        …${excerpt(one)}\n    should be …${excerpt(other)}`)
}

// -------------------------------------------------------------------------------------
// processes
// -------------------------------------------------------------------------------------

const sleep = (millis) => new Promise((resolve) => setTimeout(resolve, millis))

/** On a port below the range for outgoing connections, as in `test/support/redisServer.ts`; another one if that is in use. */
const startRedis = async (attempts = 5) => {
  const port = 10_000 + Math.floor(Math.random() * 10_000)
  const settings = ["--port", String(port), "--bind", "127.0.0.1", "--save", "", "--appendonly", "no", "--dir", folder]
  const child = spawn("redis-server", settings, { stdio: "ignore" })
  children.add(child)
  await Promise.race([
    once(child, "spawn"),
    once(child, "error").then(([error]) => Promise.reject(new Error(`redis-server does not start: ${error.message}`)))
  ])
  const client = new Redis({ port, host: "127.0.0.1", retryStrategy: () => 20, maxRetriesPerRequest: null })
  client.on("error", () => undefined)
  const isThis = await Promise.race([
    client.info("server").then((info) => info.includes(`process_id:${child.pid}\r\n`)),
    once(child, "exit").then(() => false)
  ])
  if (isThis) return { client, url: `redis://127.0.0.1:${port}` }
  client.disconnect()
  child.kill("SIGKILL")
  children.delete(child)
  if (attempts === 1) throw new Error("redis-server finds no free port.")
  return startRedis(attempts - 1)
}

/** A process of a build, which carries out commands. */
const startBuild = async ({ cwd, effect, node }, url) => {
  const child = spawn(node, ["--import", "tsx", "test/effect4/formats.ts", url], {
    cwd,
    stdio: ["ignore", "inherit", "inherit", "ipc"]
  })
  children.add(child)
  const waiting = new Map()
  let count = 0
  const reply = (id) => new Promise((resolve, reject) => waiting.set(id, { resolve, reject }))
  const ready = reply(0)
  child.on("message", ({ failure, id, value }) => {
    const { reject, resolve } = waiting.get(id)
    waiting.delete(id)
    if (failure === undefined) resolve(value)
    else reject(new Error(failure))
  })
  child.on("exit", (code) => {
    children.delete(child)
    for (const { reject } of waiting.values()) reject(new Error(`The process of Effect ${effect} ended: ${code}`))
  })
  await ready
  return {
    effect,
    child,
    run: (command, given = {}) => {
      const id = ++count
      const answer = reply(id)
      child.send({ id, command, given })
      return answer
    }
  }
}

// -------------------------------------------------------------------------------------
// formats
// -------------------------------------------------------------------------------------

/** Times of now, and ids of processes, in place of which both builds have the same text. */
const normalized = (text) =>
  text
    .replace(/\b1[789]\d{11}(?:\.\d+)?\b/g, "<time>")
    .replace(/\b[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}\b/g, "<process>")

/** A text, or the values of a text of lines of JSON: the order of fields has no meaning. */
const valuesOf = (text) => {
  try {
    return text
      .trimEnd()
      .split("\n")
      .map((line) => JSON.parse(line))
  } catch {
    return text
  }
}

/** Effect 4 has no trees of causes, and writes a list of them as another tree. */
const unlike = new Set(["causes.ndjson"])

/** MessagePack of Redis, with times. */
const isBinary = (text) => text.includes("\ufffd")

const filesIn = (path) =>
  readdirSync(path, { recursive: true })
    .map((name) => join(path, name))
    .filter((name) => statSync(name).isFile())
    .sort()

const valueOf = async (client, key) => {
  switch (await client.type(key)) {
    case "string":
      return client.get(key)
    case "hash":
      return JSON.stringify(Object.entries(await client.hgetall(key)).sort())
    case "set":
      return JSON.stringify((await client.smembers(key)).sort())
    case "zset":
      return JSON.stringify(await client.zrange(key, 0, -1, "WITHSCORES"))
    default:
      return JSON.stringify(await client.lrange(key, 0, -1))
  }
}

const compareFormats = async (processes, client) => {
  const [{ run: ask }] = processes
  for (const format of await ask("formats")) {
    for (const writer of processes) {
      const place = { format, folder: join(folder, String(writer.effect)), name: `written by ${writer.effect}` }
      mkdirSync(place.folder, { recursive: true })
      let written
      try {
        written = await writer.run("write", place)
      } catch (error) {
        faults.push(`${format}: Effect ${writer.effect} cannot write it\n    ${error.message}`)
        continue
      }
      // The writer reads it first: only then is a difference one between the builds.
      for (const reader of [writer, ...processes.filter((other) => other !== writer)]) {
        const what = `${format}: what Effect ${writer.effect} wrote, read by Effect ${reader.effect},`
        try {
          equal(what, await reader.run("read", place), written)
        } catch (error) {
          faults.push(`${what} cannot be read\n    ${error.message.slice(0, 600)}`)
        }
      }
    }
  }

  const [three, four] = processes.map(({ effect }) => join(folder, String(effect)))
  const names = (path) => filesIn(path).map((file) => relative(path, file))
  equal("the names of the files that Effect 4 wrote", names(four), names(three))
  let bytes = 0
  const same = names(three).filter((name) => names(four).includes(name) && !unlike.has(name))
  for (const name of same) {
    const text = readFileSync(join(three, name), "utf8")
    bytes += text.length
    equal(
      `what is in ${name} by Effect 4`,
      valuesOf(normalized(readFileSync(join(four, name), "utf8"))),
      valuesOf(normalized(text))
    )
  }

  const keys = (await client.keys("*")).sort()
  const of = (effect) => keys.filter((key) => key.includes(`written by ${effect}`))
  const other = (key) => key.replace("written by 3", "written by 4")
  equal("the keys in Redis of Effect 4", of(4).map(normalized), of(3).map(other).map(normalized))
  const texts = async (names) =>
    Object.fromEntries(await Promise.all(names.map(async (key) => [normalized(key), await valueOf(client, key)])))
  const [threes, fours] = [await texts(of(3)), await texts(of(4))]
  for (const [key, value] of Object.entries(threes)) {
    const same = fours[other(key)]
    if (same === undefined || isBinary(value)) continue
    bytes += value.length
    equal(`the value of ${key} by Effect 4`, valuesOf(normalized(same)), valuesOf(normalized(value)))
  }
  console.log(
    `${same.length} files and ${Object.keys(threes).length} keys in Redis, of ${bytes} characters, are the same, but for times and the order of fields`
  )
}

// -------------------------------------------------------------------------------------
// both at the same time
// -------------------------------------------------------------------------------------

const eventually = async (what, read, expected) => {
  const deadline = Date.now() + 30_000
  let last
  do {
    last = await read()
    if (isDeepStrictEqual(last, expected)) break
    await sleep(20)
  } while (Date.now() < deadline)
  equal(what, last, expected)
}

const shareKeys = async (one, other) => {
  const held = []
  for (const { run } of [one, other, one, other]) held.push([run, await run("reserveKey")])
  equal("the keys that two builds get in turn", held.map(([, { key }]) => key).sort(), ["a", "a", "b", "b"])
  for (const { effect, run } of [one, other])
    equal(
      `the key that Effect ${effect} gets when both builds use all`,
      (await run("reserveKey")).error !== undefined,
      true
    )
  const waits = one.run("reserveKey", { maxWait: 60_000 })
  await sleep(50)
  const [run, released] = held[1]
  await run("release", { hold: released.hold })
  equal(
    `the key that a waiting Effect ${one.effect} gets when Effect ${other.effect} releases it`,
    (await waits).key,
    released.key
  )
  await one.run("release", { hold: (await waits).hold })
  // The first call reports a rate limit of its key, which rests for both.
  const [[first, limited], ...rest] = held
  await first("release", { hold: limited.hold, isServed: false })
  for (const [run, { hold }] of rest) if (hold !== released.hold || run !== other.run) await run("release", { hold })
  const ready = limited.key === "a" ? "b" : "a"
  await eventually(
    `the state of a key in Effect ${other.effect} that Effect ${one.effect} has cooled down`,
    async () => (await other.run("keys")).find(([id]) => id === limited.key)[2],
    "Cooling"
  )
  const later = [await other.run("reserveKey"), await other.run("reserveKey")]
  equal(
    `the keys that Effect ${other.effect} gets while one cools down by Effect ${one.effect}`,
    later.map(({ key }) => key),
    [ready, ready]
  )
  equal("a third key", (await other.run("reserveKey")).error !== undefined, true)
  for (const { hold } of later) await other.run("release", { hold })
  await other.run("enableKey", { key: limited.key })
  await eventually(
    `the keys of Effect ${one.effect} after Effect ${other.effect} enabled one`,
    async () => (await one.run("keys")).map(([, inFlight, state]) => [inFlight, state]),
    [
      [0, "Ready"],
      [0, "Ready"]
    ]
  )
}

const shareLimits = async (one, other) => {
  const taken = await Promise.all(
    Array.from({ length: 60 }, (_, index) => [one, other][index % 2].run("take", { first: one.effect }))
  )
  const granted = taken.filter((grant) => grant === true).length
  equal("the requests that both builds send under a limit of 30", granted, 30)
  const slots = []
  for (const { run } of [one, other, one]) slots.push([run, await run("reserveSlot")])
  equal("the slots of three that both builds have", slots.filter(([, { hold }]) => hold !== undefined).length, 3)
  equal(`a fourth slot for Effect ${other.effect}`, (await other.run("reserveSlot")).error, "RateLimitError")
  const waits = other.run("reserveSlot", { maxWait: 60_000 })
  await sleep(50)
  const [run, { hold }] = slots[0]
  await run("release", { hold })
  equal(
    `the slot that Effect ${other.effect} waits for when Effect ${one.effect} has released it`,
    (await waits).error,
    undefined
  )
  await other.run("release", { hold: (await waits).hold })
  for (const [run, { hold }] of slots.slice(1)) await run("release", { hold })
}

const shareBudgets = async (one, other) => {
  const first = await one.run("spend", { amount: 6, first: one.effect })
  equal(
    `a budget of 10 in Effect ${other.effect} of which Effect ${one.effect} has reserved 6`,
    await other.run("spend", { amount: 5, first: one.effect }),
    { refused: 6 }
  )
  const second = await other.run("spend", { amount: 4, first: one.effect })
  await one.run("release", { hold: first.hold })
  await other.run("release", { hold: second.hold, isServed: false })
  for (const { effect, run } of [one, other])
    equal(`what Effect ${effect} finds spent`, await run("spent", { first: one.effect }), { reserved: 0, spent: 6 })
  const last = await other.run("spend", { amount: 4, first: one.effect })
  await other.run("release", { hold: last.hold })
  equal(`a budget in Effect ${one.effect} that is spent`, await one.run("spend", { amount: 1, first: one.effect }), {
    refused: 10
  })
}

const shareHealth = async (one, other) => {
  for (let call = 0; call < 2; call++) await one.run("callMember", { fails: true })
  await eventually(
    `the circuit in Effect ${other.effect} that Effect ${one.effect} opened`,
    () => other.run("member"),
    "Open"
  )
  equal(`a call of Effect ${other.effect} meanwhile`, (await other.run("callMember")).isCalled, false)
  await eventually(
    `the call of Effect ${other.effect} that probes the member`,
    async () => (await other.run("callMember")).ending,
    "answer"
  )
  await eventually(`the circuit in Effect ${one.effect} after that`, () => one.run("member"), "Ready")
}

const shareGateways = async (one, other) => {
  const [url, otherUrl] = [await one.run("gateway"), await other.run("gateway")]
  const send = async (url, path, { body, key, method = body === undefined ? "GET" : "POST" }) => {
    const response = await fetch(`${url}${path}`, {
      method,
      headers: { authorization: `Bearer ${key}`, "content-type": "application/json" },
      ...(body === undefined ? {} : { body: JSON.stringify(body) })
    })
    const text = await response.text()
    return { status: response.status, json: text.startsWith("{") ? JSON.parse(text) : undefined }
  }
  const admin = "admin-token"
  const chat = { model: "fast", messages: [{ role: "user", content: "Hello" }] }
  const statusOf = async (url, key, body = chat) => (await send(url, "/v1/chat/completions", { key, body })).status
  const names = `Effect ${one.effect} and Effect ${other.effect}`

  const created = await send(url, "/admin/keys", {
    key: admin,
    body: { label: "team é", models: ["openai/*"], rateLimit: { requestsPerMinute: 4, maxConcurrent: 3 } }
  })
  const { id, key } = created.json
  equal(`${names}: a client key of the first at the second`, await statusOf(otherUrl, key), 200)
  const listed = async (url) => (await send(url, "/admin/keys", { key: admin })).json
  equal(`${names}: the list of client keys`, await listed(otherUrl), await listed(url))
  const rotated = (await send(otherUrl, `/admin/keys/${id}/rotate`, { key: admin, body: {} })).json.key
  equal(`${names}: the rotated secret at the first`, await statusOf(url, rotated), 200)
  await eventually(`${names}: the old secret at the first`, () => statusOf(url, key), 401)
  equal(`${names}: the old secret at the second`, await statusOf(otherUrl, key), 401)
  const statuses = []
  for (const at of [url, otherUrl, url, otherUrl]) statuses.push(await statusOf(at, rotated))
  equal(`${names}: a limit of four requests a minute at both`, statuses, [200, 200, 429, 429])
  await send(url, `/admin/keys/${id}`, { key: admin, method: "DELETE" })
  await eventually(`${names}: a key that the first revoked at the second`, () => statusOf(otherUrl, rotated), 401)

  const budget = (
    await send(otherUrl, "/admin/keys", { key: admin, body: { budget: { tokens: 1500, period: "day" } } })
  ).json.key
  const bounded = { ...chat, max_tokens: 1200 }
  const spent = []
  for (let call = 0; call < 200 && spent.at(-1) !== 402; call++)
    spent.push(await statusOf([url, otherUrl][call % 2], budget, bounded))
  equal(`${names}: a budget of a key that both spend`, [spent[0], spent[1], spent.at(-1)], [200, 200, 402])
  equal(
    `${names}: the spent budget at the other`,
    await statusOf([url, otherUrl][spent.length % 2], budget, bounded),
    402
  )

  const client = (await send(url, "/admin/keys", { key: admin, body: { label: "responses" } })).json.key
  const ask = { model: "responses/large", input: "Hello é" }
  const first = (await send(url, "/v1/responses", { key: client, body: ask })).json
  const path = `/v1/responses/${first.id}`
  // The answer is stored on the side.
  await eventually(
    `${names}: an answer of the first at the second`,
    async () => (await send(otherUrl, path, { key: client })).json,
    first
  )
  const second = await send(otherUrl, "/v1/responses", {
    key: client,
    body: { ...ask, previous_response_id: first.id }
  })
  equal(`${names}: an answer of the second that refers to one of the first`, second.status, 200)
  const items = `${path}/input_items`
  equal(
    `${names}: the input of an answer`,
    await send(otherUrl, items, { key: client }),
    await send(url, items, { key: client })
  )
  equal(
    `${names}: an answer of the first, deleted at the second`,
    (await send(otherUrl, path, { key: client, method: "DELETE" })).status,
    200
  )
  equal(`${names}: the deleted answer at the first`, (await send(url, path, { key: client })).status, 404)
}

/** What a killed process held is free for the other build after its lease. */
const loseProcess = async (one, other) => {
  const held = []
  for (let index = 0; index < 4; index++) held.push(await one.run("reserveKey"))
  for (let index = 0; index < 3; index++) held.push(await one.run("reserveSlot"))
  equal(`the keys and slots that Effect ${one.effect} holds`, held.filter(({ hold }) => hold !== undefined).length, 7)
  const exited = once(one.child, "exit")
  one.child.kill("SIGKILL")
  await exited
  const key = await other.run("reserveKey", { maxWait: 60_000 })
  equal(`a key that a killed Effect ${one.effect} held, for Effect ${other.effect}`, typeof key.key, "string")
  const slot = await other.run("reserveSlot", { maxWait: 60_000 })
  equal(`a slot that a killed Effect ${one.effect} held, for Effect ${other.effect}`, slot.error, undefined)
  await other.run("release", { hold: key.hold })
  await other.run("release", { hold: slot.hold })
}

const { client, url } = await startRedis()
const processes = await Promise.all(builds.map((build) => startBuild(build, url)))
const [three, four] = processes

const count = (name) => {
  console.log(`${name}: ${comparisons} comparisons`)
  comparisons = 0
}

await compareFormats(processes, client)
count(`${(await three.run("formats")).length} formats, written by either build and read by both`)
for (const [name, share] of [
  ["key pools", shareKeys],
  ["rate limits", shareLimits],
  ["budgets", shareBudgets],
  ["health of deployments", shareHealth],
  ["gateways", shareGateways]
]) {
  for (const [one, other] of [
    [three, four],
    [four, three]
  ]) {
    await share(one, other)
  }
  count(`${name}, shared by both builds`)
}
await loseProcess(three, four)
const again = await startBuild(builds[0], url)
await loseProcess(four, again)
count("leases of killed processes")

again.child.kill()
client.disconnect()
console.log(`in ${Math.round((Date.now() - startedAt) / 1000)} s`)
if (faults.length > 0) {
  console.error(`${faults.length} differences between the builds:`)
  for (const fault of faults) console.error(`- ${fault}`)
  process.exitCode = 1
}
process.exit()

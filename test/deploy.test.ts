/** Tests of the deployment files against the code and the repository. */
import { describe, expect, it } from "@effect/vitest"
import { ConfigProvider, Effect, Schema } from "effect"
import { existsSync, readdirSync, readFileSync } from "node:fs"
import { join } from "node:path"
import { fileURLToPath } from "node:url"
import { parse } from "yaml"
import * as Models from "../src/models/Models.js"

const root = fileURLToPath(new URL("..", import.meta.url))

const text = (path: string): string => readFileSync(join(root, path), "utf8")

const yaml = (path: string): unknown => parse(text(path), { strict: true, uniqueKeys: true })

const Compose = Schema.Struct({
  services: Schema.Record({
    key: Schema.String,
    value: Schema.Struct({
      environment: Schema.optional(Schema.Record({ key: Schema.String, value: Schema.String })),
      volumes: Schema.optional(
        Schema.Array(Schema.Union(Schema.String, Schema.Struct({ source: Schema.String, target: Schema.String })))
      ),
      depends_on: Schema.optional(Schema.Unknown)
    })
  }),
  secrets: Schema.Record({ key: Schema.String, value: Schema.Unknown }),
  volumes: Schema.Record({ key: Schema.String, value: Schema.Unknown })
})

const compose = Schema.decodeUnknown(Compose)(yaml("deploy/compose.yaml"))

/** Every `EFFECT_LLM` variable that the gateway reads. */
const variables = new Set(
  ["src/gateway", "src/cli/gateway"].flatMap((folder) =>
    readdirSync(join(root, folder))
      .filter((name) => name.endsWith(".ts"))
      .flatMap((name) => [...text(`${folder}/${name}`).matchAll(/"(EFFECT_LLM_[A-Z_]+)"/g)].map(([, found]) => found))
  )
)

describe("deployment files", () => {
  it("copies the bundled program and the dashboard page into the image", () => {
    for (const part of ["dist/cli", "dist/gateway/dashboard/page"]) {
      expect(text("Dockerfile")).toContain(`COPY --from=build /build/${part} ./${part}\n`)
      expect(text("package.json")).toContain(part === "dist/cli" ? "dist/cli/effect-llm.js" : part)
    }
  })

  it("names only variables that the gateway reads in the Dockerfile, Compose file, service unit and docs", () => {
    for (const path of ["Dockerfile", "deploy/compose.yaml", "deploy/effect-llm.service", "docs/deployment.md"]) {
      const named = [...text(path).matchAll(/EFFECT_LLM_[A-Z_]+/g)].map(([found]) => found)
      expect(named.length).toBeGreaterThan(2)
      for (const name of named) expect([path, name, variables.has(name)]).toEqual([path, name, true])
    }
  })

  it("documents every EFFECT_LLM variable that the gateway reads", () => {
    const documented = text("docs/deployment.md")
    for (const name of variables) expect(documented).toContain(`\`${name}\``)
  })

  it("shows an export line for every variable that the deployment requires", () => {
    const needed = [
      ...[...text("deploy/compose.yaml").matchAll(/\$\{([A-Z_]+):\?/g)].map(([, name]) => name),
      ...[...text("deploy/provider.example.json").matchAll(/\$\{([A-Z_]+)\}/g)].map(([, name]) => name)
    ]
    expect(needed).toContain("OPENAI_API_KEY")
    for (const path of ["deploy/compose.yaml", "docs/deployment.md"]) {
      for (const name of needed) expect(text(path)).toContain(`export ${name}=`)
    }
  })

  it("gives Prometheus a readable token even if Compose leaves the secret to root", () => {
    expect(text("deploy/compose.yaml")).toMatch(/source: metrics_token\n(?: +#[^\n]*\n)* +mode: 0444\n/)
  })

  it.effect("mounts only files and volumes that exist", () =>
    Effect.gen(function* () {
      const { services, volumes } = yield* compose
      for (const { volumes: mounts = [] } of Object.values(services)) {
        for (const mount of mounts) {
          if (typeof mount === "string") expect(Object.keys(volumes)).toContain(mount.split(":")[0])
          else expect([mount.source, existsSync(join(root, "deploy", mount.source))]).toEqual([mount.source, true])
        }
      }
    })
  )

  it.effect("connects Prometheus to the gateway, and Grafana to Prometheus and the dashboard", () =>
    Effect.gen(function* () {
      const { secrets, services } = yield* compose
      const { scrape_configs } = yield* Schema.decodeUnknown(
        Schema.Struct({
          scrape_configs: Schema.Tuple(
            Schema.Struct({
              metrics_path: Schema.Literal("/metrics"),
              authorization: Schema.Struct({ type: Schema.Literal("Bearer"), credentials_file: Schema.String }),
              static_configs: Schema.Tuple(Schema.Struct({ targets: Schema.Array(Schema.String) }))
            })
          )
        })
      )(yaml("deploy/prometheus.yml"))
      const [scrape] = scrape_configs
      expect(scrape.static_configs[0].targets).toEqual(["gateway:8080"])
      expect(Object.keys(services)).toContain("gateway")
      expect(Object.keys(secrets)).toContain(/^\/run\/secrets\/(.+)$/.exec(scrape.authorization.credentials_file)?.[1])
      expect(yaml("deploy/grafana/provisioning/datasources/prometheus.yaml")).toMatchObject({
        datasources: [{ type: "prometheus", url: "http://prometheus:9090", isDefault: true }]
      })
      const mounts = services["grafana"]?.volumes ?? []
      const dashboards = mounts.find((mount) => typeof mount !== "string" && mount.source === "../docs/grafana")
      expect(yaml("deploy/grafana/provisioning/dashboards/effect-llm.yaml")).toMatchObject({
        providers: [{ type: "file", options: { path: typeof dashboards === "object" ? dashboards.target : "" } }]
      })
      expect(services["grafana"]?.environment?.["GF_DASHBOARDS_DEFAULT_HOME_DASHBOARD_PATH"]).toBe(
        "/var/lib/grafana/dashboards/effect-llm.json"
      )
    })
  )

  it.effect("contains an example model file that is valid without warnings", () =>
    Effect.gen(function* () {
      const file = yield* Models.parseFile(text("deploy/provider.example.json"), "provider.example.json")
      expect([file.default, file.warnings]).toEqual(["openai/gpt-4o-mini", []])
    }).pipe(Effect.withConfigProvider(ConfigProvider.fromMap(new Map([["OPENAI_API_KEY", "sk-example"]]))))
  )

  it("builds an image with a non-root user, SIGTERM as its stop signal and a health check", () => {
    const last =
      text("Dockerfile")
        .split(/^FROM /m)
        .at(-1) ?? ""
    expect(last).toMatch(/^USER node$/m)
    expect(last).toMatch(/^STOPSIGNAL SIGTERM$/m)
    expect(last).toMatch(/^HEALTHCHECK /m)
    expect(last).toMatch(/^ENTRYPOINT \["node",/m)
    const [, command = "[]"] = /HEALTHCHECK[^\n]*\\\n\s*CMD (\[.*\])$/m.exec(last) ?? []
    expect(JSON.parse(command)).toHaveLength(3)
  })
})

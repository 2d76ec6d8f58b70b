/**
 * An HTTP gateway: serves the models of this library as OpenAI's and Anthropic's APIs, with virtual keys, their limits and budgets, and a
 * dashboard.
 *
 * @example
 * ```ts
 * import { NodeContext, NodeRuntime } from "@effect/platform-node"
 * import { Layer } from "effect"
 * import { Models } from "effect-llm"
 * import { Access, Gateway, GatewayServer } from "effect-llm/gateway"
 * import { NodeTransport } from "effect-llm/node"
 *
 * const Live = Gateway.layer().pipe(
 *   Layer.provide(GatewayServer.layer({ port: 8080 })),
 *   Layer.provide(Access.layer({ keys: [{ key: "sk-gateway-team" }], adminToken: "admin-secret" })),
 *   Layer.provide(Models.layerFile("provider.json")),
 *   Layer.provide(Layer.merge(NodeContext.layer, NodeTransport.layerUndici))
 * )
 *
 * NodeRuntime.runMain(Layer.launch(Live))
 * ```
 *
 * @example
 * ```ts
 * import { NodeContext, NodeRuntime } from "@effect/platform-node"
 * import { Layer } from "effect"
 * import { Models } from "effect-llm"
 * import { Access, Gateway, GatewayServer } from "effect-llm/gateway"
 * import { NodeTransport } from "effect-llm/node"
 *
 * const Live = Gateway.layer().pipe(
 *   Layer.provide(GatewayServer.layer({ port: 8080 })),
 *   Layer.provide(Access.layerConfig()),
 *   Layer.provide(Models.layerFile("provider.json")),
 *   Layer.provide(Layer.merge(NodeContext.layer, NodeTransport.layerUndici))
 * )
 *
 * NodeRuntime.runMain(Layer.launch(Live))
 * ```
 *
 * @since 0.1.0
 */
export * as Access from "./Access.js"
export * as AccessStore from "./AccessStore.js"
export * as Dashboard from "./dashboard/Dashboard.js"
export * as DashboardHistory from "./DashboardHistory.js"
export * as Gateway from "./Gateway.js"
export * as GatewayServer from "./GatewayServer.js"
export * as ResponseStore from "./ResponseStore.js"
export * as VirtualKey from "./VirtualKey.js"

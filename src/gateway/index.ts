/**
 * Serves the models of this library over HTTP as OpenAI's and Anthropic's APIs, with virtual keys.
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

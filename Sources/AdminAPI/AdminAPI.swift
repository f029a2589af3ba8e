package import HTTPMessages
package import Service

package final class AdminAPI {
  package init(desk: Desk) {}
  package func answer(_ request: Request) -> Answer { .now(Response(status: Status(404))) }
}

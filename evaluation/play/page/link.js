// Link: the WebSocket to the server; messages are JSON objects.

export class Link {
  /** @param {object} takes by what a message is: drive, moment, said; lost when the server ends */
  constructor(takes) {
    this.takes = takes;
  }

  open() {
    this.socket = new WebSocket(`ws://${location.host}/drive${location.search}`);
    this.socket.addEventListener("message", (event) => {
      const message = JSON.parse(event.data);
      this.takes[message.is](message);
    });
    this.socket.addEventListener("close", () => this.takes.lost());
  }

  tell(message) {
    if (this.socket?.readyState === WebSocket.OPEN) this.socket.send(JSON.stringify(message));
  }
}

// What the page does by itself, without the server.

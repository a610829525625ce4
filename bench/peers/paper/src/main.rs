//! A chat as tutorials build it: a task for each client, a broadcast channel of 100 messages, and
//! `SinkExt::send` for each message. A client that lags behind the channel is dropped.

use futures_util::{SinkExt, StreamExt};
use tokio::{
    net::{TcpListener, TcpStream},
    sync::broadcast,
};
use tokio_tungstenite::{accept_async, tungstenite::Message};

#[tokio::main]
async fn main() -> std::io::Result<()> {
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    println!("listening on {}", listener.local_addr()?);
    let (sender, _) = broadcast::channel::<Message>(100);
    loop {
        let (stream, _) = listener.accept().await?;
        tokio::spawn(serve(stream, sender.clone()));
    }
}

async fn serve(stream: TcpStream, sender: broadcast::Sender<Message>) {
    let Ok(socket) = accept_async(stream).await else { return };
    let (mut write, mut read) = socket.split();
    let mut receiver = sender.subscribe();
    loop {
        tokio::select! {
            incoming = read.next() => match incoming {
                Some(Ok(message)) if message.is_text() || message.is_binary() => {
                    if sender.send(message).is_err() {
                        return;
                    }
                }
                Some(Ok(_)) => {}
                _ => return,
            },
            message = receiver.recv() => match message {
                Ok(message) => {
                    if write.send(message).await.is_err() {
                        return;
                    }
                }
                Err(_) => return,
            },
        }
    }
}

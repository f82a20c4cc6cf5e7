mod attribution;
mod closed_box;
mod gate;
mod toy;
mod watch;

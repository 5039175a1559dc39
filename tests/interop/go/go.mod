module tickwire/interop

go 1.25

require github.com/philippseith/signalr v0.9.0

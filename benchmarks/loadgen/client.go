package main

import (
	"bufio"
	"bytes"
	"fmt"
	"io"
	"net"
	"strconv"
	"time"
)

const longestBody = 1 << 20

// Client is one connection. It speaks just enough HTTP/1.1 for the benchmark's own servers, which answer with
// Content-Length, and costs little of the processor that it shares with Redis.
type Client struct {
	host    string
	conn    net.Conn
	reader  *bufio.Reader
	cookies map[string]string
	body    []byte
}

// Dial connects; nothing on this connection goes on after the deadline.
func Dial(address string, deadline time.Time) (*Client, error) {
	dialer := net.Dialer{Deadline: deadline}
	conn, err := dialer.Dial("tcp", address)
	if err != nil {
		return nil, err
	}
	if err := conn.SetDeadline(deadline); err != nil {
		conn.Close()
		return nil, err
	}
	return &Client{host: address, conn: conn, reader: bufio.NewReader(conn), cookies: map[string]string{}}, nil
}

// Close ends the connection.
func (c *Client) Close() { c.conn.Close() }

// Post sends one request and reads its answer; anything but a 200 is an error.
func (c *Client) Post(path string) error {
	if _, err := c.conn.Write(c.request(path)); err != nil {
		return err
	}
	status, length, err := c.readHead()
	if err != nil {
		return err
	}
	if cap(c.body) < length {
		c.body = make([]byte, length)
	}
	c.body = c.body[:length]
	if _, err := io.ReadFull(c.reader, c.body); err != nil {
		return err
	}
	if status != 200 {
		return fmt.Errorf("POST %s answered %d: %.200s", path, status, c.body)
	}
	return nil
}

func (c *Client) request(path string) []byte {
	var out bytes.Buffer
	fmt.Fprintf(&out, "POST %s HTTP/1.1\r\nHost: %s\r\nContent-Length: 0\r\n", path, c.host)
	separator := "Cookie: "
	for name, value := range c.cookies {
		fmt.Fprintf(&out, "%s%s=%s", separator, name, value)
		separator = "; "
	}
	if len(c.cookies) > 0 {
		out.WriteString("\r\n")
	}
	out.WriteString("\r\n")
	return out.Bytes()
}

func (c *Client) readHead() (status, length int, err error) {
	line, err := c.readLine()
	if err != nil {
		return 0, 0, err
	}
	if len(line) < 12 || !bytes.HasPrefix(line, []byte("HTTP/1.1 ")) {
		return 0, 0, fmt.Errorf("not an answer: %.60q", line)
	}
	if status, err = strconv.Atoi(string(line[9:12])); err != nil {
		return 0, 0, err
	}
	length = -1
	for {
		line, err = c.readLine()
		if err != nil {
			return 0, 0, err
		}
		if len(line) == 0 {
			break
		}
		if length, err = c.header(line, length); err != nil {
			return 0, 0, err
		}
	}
	if length < 0 || length > longestBody {
		return 0, 0, fmt.Errorf("an answer of status %d without a usable Content-Length", status)
	}
	return status, length, nil
}

func (c *Client) readLine() ([]byte, error) {
	line, err := c.reader.ReadSlice('\n')
	return bytes.TrimRight(line, "\r\n"), err
}

func (c *Client) header(line []byte, length int) (int, error) {
	name, value, _ := bytes.Cut(line, []byte(":"))
	value = bytes.TrimSpace(value)
	switch string(bytes.ToLower(name)) {
	case "content-length":
		return strconv.Atoi(string(value))
	case "set-cookie":
		pair, _, _ := bytes.Cut(value, []byte(";"))
		key, content, _ := bytes.Cut(pair, []byte("="))
		c.cookies[string(key)] = string(content)
	}
	return length, nil
}
